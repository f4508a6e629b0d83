"""Switch off the telemetry of ONNX Runtime, which other libraries may import in a process that trains.

ONNX Runtime reads the environment once, when it is imported. So `fer_train` calls `switch_off` first. Child processes
inherit the variable. A value of the user's own is overwritten: a program that looks at faces does not report.
"""

import os
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"


def switch_off() -> None:
    """Set the variable for this process and its children."""
    os.environ[VARIABLE] = "1"
