"""Switch off the telemetry of ONNX Runtime and of OpenVINO.

Since version 1.32 its packages send events to Microsoft by default and store a device id in ~/.cache. It reads the
environment once, at its import, and the import alone writes the files. So `fer_deploy` calls `switch_off` before any
import of ONNX Runtime. Child processes inherit the variable.

A value set by the user is overwritten: this program processes faces, so no setting makes it send events.

OpenVINO sends an event to Google Analytics when it is imported, if its package openvino-telemetry is installed, which
is the default. It has no switch in the environment, but works without that package: so its import finds none.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
OFF: Final = "1"
_OPENVINO_PACKAGE: Final = "openvino_telemetry"


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


@contextmanager
def openvino_kept_silent() -> Iterator[None]:
    """Let an import of OpenVINO find no telemetry package; it then uses its own stand-in, which sends nothing."""
    is_known = _OPENVINO_PACKAGE in sys.modules
    before = sys.modules.get(_OPENVINO_PACKAGE)
    sys.modules[_OPENVINO_PACKAGE] = None  # type: ignore[assignment]  # Python's sign for "cannot be imported"
    try:
        yield
    finally:
        del sys.modules[_OPENVINO_PACKAGE]
        if is_known and before is not None:
            sys.modules[_OPENVINO_PACKAGE] = before


def state() -> str:
    """Return "off", or "on" with the reason; for `doctor`."""
    value = os.environ.get(VARIABLE)
    return "off" if value == OFF else f"on: {VARIABLE} is {value!r}, expected {OFF!r}"
