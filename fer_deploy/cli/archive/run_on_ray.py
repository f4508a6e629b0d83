"""fer-deploy archive run --ray: the run of a cluster, from the flags."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.on_ray.cluster import LOCAL, connected
from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.archive.planned_models import opened_as_planned
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.shard import Shard
from fer_deploy.archive.store import Store
from fer_deploy.engines.threads import available_cores
from fer_deploy.engines.triton.address import is_triton
from fer_deploy.errors import ConfigError

if TYPE_CHECKING:
    from fer_deploy.archive.on_ray.run import RayRun

_ON_GPUS: Final = ("cuda", "tensorrt", "tensorrt-rtx")


@contextmanager
def ray_run(
    address: str,
    store: Store,
    manifest: Manifest,
    config: AnalyzeConfig,
    progress: RunProgress,
    *,
    jobs: int | None,
    shard: Shard,
    scratch: Path | None,
    min_jobs: int | None,
    threads_per_worker: int | None,
    memory_per_worker: int | None,
    gpus_per_worker: float | None,
    hang_after: float | None,
) -> "Iterator[RayRun]":
    """Yield a run on a cluster, to which this process is connected in the block.

    Args:
        address: value of --ray.
        store: the archive.
        manifest: of the archive.
        config: of the plan, with the models of this machine.
        progress: called with the progress.
        jobs: the other arguments are the values of the flags.
        shard: see `RayRun`.
        scratch: see `RayRun`.
        min_jobs: as said.
        threads_per_worker: as said.
        memory_per_worker: as said.
        gpus_per_worker: as said.
        hang_after: as said.

    Raises:
        FerDeployError: as `connected`; flags that contradict each other.
    """
    if jobs is not None and min_jobs is not None and min_jobs > jobs:
        raise ConfigError(f"--min-jobs is {min_jobs} and --jobs is {jobs}. Fix: --min-jobs {jobs}, or a larger --jobs")
    num_gpus = float(needs_gpu(config)) if gpus_per_worker is None else gpus_per_worker
    demand = Demand(
        num_cpus=threads_per_worker or 1,
        memory_bytes=(memory_per_worker or 1000) * 10**6,
        num_gpus=num_gpus,
        min_workers=min_jobs or 1,
        max_workers=jobs,
        hang_s=300.0 if hang_after is None else hang_after,
    )
    num_cpus = None
    if address == LOCAL:
        num_cpus = available_cores() if jobs is None else max(available_cores(), jobs * demand.num_cpus)
    with connected(address, num_cpus=num_cpus) as variables:
        run: type[RayRun] = import_module("fer_deploy.archive.on_ray.run").RayRun  # it imports Ray
        recipe = partial(opened_as_planned, with_absolute_paths(config), manifest.about)
        where = None if scratch is None else scratch.absolute()
        yield run(store, manifest, recipe, progress, demand=demand, shard=shard, scratch=where, variables=variables)


def with_absolute_paths(config: AnalyzeConfig) -> AnalyzeConfig:
    """Return settings that name the same model files in another working folder."""
    engine, detector = config.engine, config.detection.detector_model
    if engine is not None and not is_triton(engine) and engine.exists():
        config = config.model_copy(update={"engine": engine.absolute()})
    if detector is not None and not is_triton(detector):
        detection = config.detection.model_copy(update={"detector_model": detector.absolute()})
        config = config.model_copy(update={"detection": detection})
    return config


def needs_gpu(config: AnalyzeConfig) -> bool:
    """Return whether the models of a plan run on a GPU alone."""
    return config.device in _ON_GPUS or config.engine_file.suffix == ".plan"
