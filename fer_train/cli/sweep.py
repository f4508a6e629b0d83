"""fer-train sweep: the check of the time limit around `fer_train.sweep.command`."""

import math
from pathlib import Path
from typing import Any

from fer_train.errors import ConfigError
from fer_train.sweep.command import sweep_plan


def sweep(minutes: float, data_path: Path, **flags: Any) -> None:
    """Run a plan; see `fer_train.cli.flags.sweep` for the flags."""
    if math.isnan(minutes):
        raise ConfigError("--minutes is not a number. Fix: a number of minutes, or inf for no limit")
    sweep_plan(minutes=minutes, data=data_path, **flags)
