"""A Ray cluster of several nodes on this machine, and runs of an archive on it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from integration.archive_models import poisoned
from ray.cluster_utils import Cluster

from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.on_ray.cluster import connected
from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.archive.on_ray.run import RayRun
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.store import Store
from fer_deploy.archive.todo import Ended

REPO = Path(__file__).parents[2]
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "memory": 10**9}
HEAD = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
"""Without the processes that show logs and add machines of a cloud."""
PATHS = os.pathsep.join([str(REPO), str(REPO / "tests"), *filter(None, sys.path)])
DEMAND = Demand(memory_bytes=10**8)


@contextmanager
def cluster_of(num_nodes: int, *, cpus_of_head: int = 1) -> Iterator[Cluster]:
    """Start nodes with one CPU each, and end all their processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PATHS)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_USAGE_STATS_REPORT_URL", "http://127.0.0.1:9")
        patch.setenv("RAY_health_check_period_ms", "1000")
        patch.setenv("RAY_health_check_failure_threshold", "2")
        cluster = Cluster(shutdown_at_exit=True)
        try:
            cluster.add_node(**(NODE | HEAD | {"num_cpus": cpus_of_head}))
            for _ in range(num_nodes - 1):
                cluster.add_node(**NODE)
            yield cluster
        finally:
            cluster.shutdown()


class Watched(RunProgress):
    """Remembers what a run tells, and reacts to the number of its workers."""

    def __init__(self, on_workers=lambda num: None, on_busy=lambda num: None) -> None:
        self.notes: list[str] = []
        self.most = (0, 0)
        self._busy: set[int] = set()
        self._on_workers, self._on_busy = on_workers, on_busy

    def note(self, text):
        if "Ray is starting it" not in text and "Ray is still starting workers" not in text:  # this machine may be busy
            self.notes.append(text)

    def workers(self, num, num_nodes):
        self.most = max(self.most, (num, num_nodes))
        self._on_workers(num)

    def working(self, worker, num_frames):
        self._busy.add(worker)
        self._on_busy(len(self._busy))


def ray_run(address: str, store: Store, recipe, progress: RunProgress | None = None, **settings) -> Ended:
    """Run what is left of an archive on a cluster."""
    demand = DEMAND._replace(**{name: settings.pop(name) for name in list(settings) if name in Demand._fields})
    settings = {"back_off_s": 0.01, **settings}
    with connected(address):
        run = RayRun(store, Manifest.load(store), recipe, progress or RunProgress(), demand=demand, **settings)
        return run.run()


def process(address: str, out: str, engine_file: Path, delay_s: float) -> subprocess.Popen:
    """Start a run in a process of its own."""
    program = (
        f"import sys; sys.path[:] = {[str(REPO), str(REPO / 'tests'), *sys.path]!r}; "
        "from integration.ray_cluster import main; main(*sys.argv[1:])"
    )
    return subprocess.Popen([sys.executable, "-c", program, address, out, str(engine_file), str(delay_s)])


def main(address: str, out: str, engine_file: str, delay_s: str) -> None:
    ended = ray_run(address, Store(out), partial(poisoned, 0, float(delay_s), Path(engine_file)))
    assert ended.num_dead == ended.num_left == 0, ended
