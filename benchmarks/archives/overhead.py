"""What scheduling costs the one process that does it: measured on segments that are finished already.

Run as a module, with OUT and NUM in JSON: Ray starts only once in a process as `connected` wants it.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fer_deploy.analyze.models import opened_models
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.on_ray.cluster import LOCAL, connected
from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.archive.on_ray.node_worker import Job
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import Work, all_work, finished

if TYPE_CHECKING:
    from fer_deploy.archive.on_ray.pool import Pool

_NUM_WORKERS = 2
_NUM_LISTED = 20_000


class Overhead(NamedTuple):
    """Seconds of the driver.

    Attributes:
        schedule_cpu_s: CPU time for a segment: send it, read the reply.
        beat_cpu_s: CPU time for a question to a worker how far it is.
        round_trip_s: from a segment that is given to its reply, where nothing is to be computed.
        plan_s: for a segment at the start of a run: its place in the order.
        look_s: for a finished segment at the start of a run: its description is read, from this disk.
    """

    schedule_cpu_s: float
    beat_cpu_s: float
    round_trip_s: float
    plan_s: float
    look_s: float


def measure_overhead(out: Path, *, num_segments: int) -> Overhead:
    """Measure with a finished archive.

    Args:
        out: of the archive.
        num_segments: that are scheduled, again and again those of the archive.
    """
    store = Store(str(out))
    manifest = Manifest.load(store)
    works = all_work(manifest, plans(manifest, store))
    many = [works[number % len(works)] for number in range(num_segments)]
    started = time.perf_counter()
    finished(store, many)
    look_s = (time.perf_counter() - started) / len(many)
    with connected(LOCAL, num_cpus=_NUM_WORKERS) as variables:
        from fer_deploy.archive.on_ray.pool import Pool  # noqa: PLC0415 - it imports Ray

        job = Job.of(store, manifest, partial(opened_models, manifest.about.config))
        with Pool(job, Demand(memory_bytes=10**8, max_workers=_NUM_WORKERS), RunProgress(), variables) as pool:
            while len(pool.idle()) < _NUM_WORKERS:
                pool.grow(_NUM_WORKERS)
                list(pool.events(0.1))
            schedule_cpu_s, round_trip_s = _schedule(pool, many)
            beat_cpu_s = _beat(pool, num_segments)
    return Overhead(schedule_cpu_s, beat_cpu_s, round_trip_s, _plan(manifest), look_s)


def _schedule(pool: "Pool", works: list[Work]) -> tuple[float, float]:
    left, started, cpu_s = list(works), time.perf_counter(), time.process_time()
    num_replies = 0
    while num_replies < len(works):
        for member in pool.idle():
            if left:
                pool.give(member, left.pop())
        num_replies += sum(1 for _ in pool.events(0.2))
    used_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    return cpu_s / len(works), used_s * _NUM_WORKERS / len(works)


def _beat(pool: "Pool", num: int) -> float:
    import ray  # noqa: PLC0415 - after `cluster`, which switches its statistics off

    actor = pool.idle()[0].actor
    cpu_s = time.process_time()
    for _ in range(num):
        ray.get(actor.heartbeat.options(concurrency_group="watch").remote())
    return (time.process_time() - cpu_s) / num


def _plan(manifest: Manifest) -> float:
    """Return the seconds for a segment of a long list."""
    row = next(row for row in manifest.rows.values() if row.segments)
    copies = -(-_NUM_LISTED // len(row.segments))
    rows = [row.model_copy(update={"id": f"{number:016x}"}) for number in range(copies)]
    started = time.perf_counter()
    num = len(all_work(Manifest(manifest.about, {one.id: one for one in rows}), {one.id: one.segments for one in rows}))
    return (time.perf_counter() - started) / num


if __name__ == "__main__":
    _request = json.loads(sys.argv[1])
    _found = measure_overhead(Path(_request["out"]), num_segments=_request["num"])
    sys.stdout.write(f"{json.dumps(_found._asdict())}\n")
