"""fer-train sweep: the checks of time limit and place around `fer_train.sweep.command`."""

import math
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from fer_train.errors import ConfigError
from fer_train.sweep.command import sweep_plan
from fer_train.sweep.jobs import HERE, Place


def sweep(
    minutes: float,
    data_path: Path,
    ray: str | None,
    cpus_per_run: float | None,
    gpus_per_run: float | None,
    **flags: Any,
) -> None:
    """Run a plan; see `fer_train.cli.flags.sweep` for the flags."""
    if math.isnan(minutes):
        raise ConfigError("--minutes is not a number. Fix: a number of minutes, or inf for no limit")
    place: AbstractContextManager[Place] = nullcontext(HERE)
    if ray is not None:
        on_ray = import_module("fer_train.sweep.on_ray")
        place = on_ray.ray_place(ray, num_cpus=cpus_per_run or 1.0, num_gpus=gpus_per_run or 0.0)
    elif cpus_per_run is not None or gpus_per_run is not None:
        name = "--gpus-per-run" if cpus_per_run is None else "--cpus-per-run"
        raise ConfigError(f"{name} has no effect without --ray. Fix: --ray auto, or leave {name} out")
    sweep_plan(minutes=minutes, data=data_path, place=place, **flags)
