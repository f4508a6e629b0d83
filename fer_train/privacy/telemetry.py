"""Switch off the telemetry of ONNX Runtime, which other libraries may import during training.

ONNX Runtime reads the environment once, at import, so `fer_train` calls `switch_off` first. Child processes
inherit the variable. A value that the user set is overwritten: a program that sees faces sends no telemetry.
"""

import os
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"


def switch_off() -> None:
    """Set the variable for this process and its children."""
    os.environ[VARIABLE] = "1"
