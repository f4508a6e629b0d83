"""fer-train sweep: the checks of time limit and place around `fer_train.sweep.command`."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from fer_train.cluster.ray_cluster import connected
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
        place = _ray_place(ray, cpus_per_run or 1.0, gpus_per_run or 0.0)
    elif cpus_per_run is not None or gpus_per_run is not None:
        name = "--gpus-per-run" if cpus_per_run is None else "--cpus-per-run"
        raise ConfigError(f"{name} has no effect without --ray. Fix: --ray auto, or leave {name} out")
    sweep_plan(minutes=minutes, data=data_path, place=place, **flags)


@contextmanager
def _ray_place(address: str, num_cpus: float, num_gpus: float) -> Iterator[Place]:
    with connected(address) as variables:
        place_of = import_module("fer_train.sweep.on_ray").RayPlace
        place: Place = place_of(num_cpus=num_cpus, num_gpus=num_gpus, variables=variables)
        yield place
