"""Switch off the telemetry of ONNX Runtime.

Since version 1.32 its packages send events to Microsoft by default and store a device id in ~/.cache. It reads the
environment once, at its import, and the import alone writes the files. So `fer_deploy` calls `switch_off` before any
import of ONNX Runtime. Child processes inherit the variable.

A value set by the user is overwritten: this program processes faces, so no setting makes it send events.
"""

import os
import sys
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
OFF: Final = "1"


def switch_off() -> None:
    """Set the variable, and call the API if a program has imported ONNX Runtime before `fer_deploy`."""
    os.environ[VARIABLE] = OFF
    switch_off_in_process()


def switch_off_in_process() -> None:
    """Call ONNX Runtime's own switch if it is imported. On Windows, where events use ETW, it is the only one."""
    onnxruntime = sys.modules.get("onnxruntime")
    disable = getattr(onnxruntime, "disable_telemetry_events", None)
    if disable is not None:
        disable()


def state() -> str:
    """Return "off", or "on" with the reason; for `doctor`."""
    value = os.environ.get(VARIABLE)
    return "off" if value == OFF else f"on: {VARIABLE} is {value!r}, expected {OFF!r}"
