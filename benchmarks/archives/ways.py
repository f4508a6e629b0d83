"""The same video analyzed in several ways: seconds and CPU time of each, and whether the rows are equal."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import psutil
import pyarrow as pa

from fer_deploy.archive.estimate import samples_of
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import all_work, segment_files
from fer_deploy.files.parquet_table import read_parquet

ROOT: Final = Path(__file__).parents[2]
_SAMPLE_S: Final = 0.25
_OURS: Final = ("video_id", "video", "video_complete")
_KILLED_AT: Final = (0.2, 0.4, 0.6)
"""Shares of the segments that are done when the run is killed."""
_NODE_KILLED_AT: Final = 0.3
_NODE: Final = {"object_store_memory": 80 * 2**20, "memory": 4 * 10**9}


class Way(NamedTuple):
    """A way to analyze a video.

    Attributes:
        name: for the table.
        seconds: of the command, with the start of everything.
        cpu_s: of all processes that it needed.
        out: where the results are.
        num_kills: how often a process or a node was killed before the end.
    """

    name: str
    seconds: float
    cpu_s: float
    out: Path
    num_kills: int = 0


class CpuClock:
    """CPU time of all processes below this one, sampled, since a process that has ended cannot be asked."""

    def __init__(self) -> None:
        """Begin."""
        self._seen: dict[tuple[int, float], float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "CpuClock":
        self._look()
        self._before = dict(self._seen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    @property
    def seconds(self) -> float:
        """CPU seconds between begin and end."""
        return sum(used - self._before.get(one, 0.0) for one, used in self._seen.items())

    def _watch(self) -> None:
        while not self._end.wait(_SAMPLE_S):
            self._look()

    def _look(self) -> None:
        for one in psutil.Process().children(recursive=True):
            try:
                times = one.cpu_times()
                self._seen[one.pid, one.create_time()] = times.user + times.system
            except psutil.Error:
                continue


class Kills:
    """Kills at shares of an archive.

    Attributes:
        num: how many there were.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.num = 0

    @contextmanager
    def at(self, out: Path, share: float, kill: Callable[[], None]) -> Iterator[None]:
        """Call `kill` once, from another thread, when a share of the segments is done; not if all ends before."""
        store = Store(str(out))
        manifest = Manifest.load(store)
        wanted = share * len(all_work(manifest, plans(manifest, store)))
        end = threading.Event()

        def watch() -> None:
            while not end.wait(_SAMPLE_S):
                if len(segment_files(store)) >= wanted:
                    kill()
                    self.num += 1
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()


def analyze_in_all_ways(video: Path, folder: Path, options: Sequence[str], *, segment_frames: int) -> list[Way]:
    """Analyze a video one way after another; the first one is the sequential run.

    Args:
        video: the file.
        folder: for all results.
        options: of the analysis.
        segment_frames: frames of a segment.

    Raises:
        click.ClickException: a command failed.
    """
    cut = ["--segment-frames", str(segment_frames)]

    def analyze(jobs: int) -> Callable[[Path], None]:
        return lambda out: _run(
            "analyze", video, "--out", out, "--no-video", "--jobs", jobs, *cut, *options, folder=folder
        )

    def archive(*flags: object) -> Callable[[Path], None]:
        return lambda out: _run("archive", "run", out, *flags, folder=folder)

    def plan(out: Path) -> None:
        _run("archive", "plan", video, "--out", out, "--pilot", 0, *cut, *options, folder=folder)

    ways = [
        _measured("analyze, one process", folder / "sequential", analyze(1)),
        _measured("analyze --jobs 2", folder / "jobs", analyze(2)),
        _measured("archive run --jobs 2", folder / "archive", archive("--jobs", 2), plan),
        _measured(
            "archive run --ray local --jobs 2", folder / "ray-local", archive("--ray", "local", "--jobs", 2), plan
        ),
    ]
    with _three_nodes() as (address, _):
        ray = archive("--ray", address, "--jobs", 2, "--min-jobs", 2)
        ways.append(_measured("archive run --ray, three nodes", folder / "ray-nodes", ray, plan))

    kills = Kills()

    def killed(out: Path) -> None:
        for share in _KILLED_AT:
            _run("archive", "run", out, "--jobs", 2, folder=folder, when=partial(kills.at, out, share))
        _run("archive", "run", out, "--jobs", 2, folder=folder)

    name = "archive run --jobs 2, killed with all its processes and given again"
    ways.append(_measured(name, folder / "killed", killed, plan)._replace(num_kills=kills.num))
    kills = Kills()
    with _three_nodes() as (address, remove_node):
        ray = archive("--ray", address, "--jobs", 2, "--min-jobs", 1)

        def without_a_node(out: Path) -> None:
            with kills.at(out, _NODE_KILLED_AT, remove_node):
                ray(out)

        name = "archive run --ray, three nodes, one of them killed"
        ways.append(_measured(name, folder / "ray-killed", without_a_node, plan)._replace(num_kills=kills.num))
    return ways


def _measured(
    name: str, out: Path, run: Callable[[Path], None], before: Callable[[Path], None] = lambda out: None
) -> Way:
    before(out)
    with CpuClock() as clock:
        started = time.monotonic()
        run(out)
        seconds = time.monotonic() - started
    click.echo(f"{name}: {seconds:.1f} s, {clock.seconds:.1f} s of CPU", err=True)
    return Way(name, seconds, clock.seconds, out)


def _run(
    *words: object,
    folder: Path,
    when: Callable[[Callable[[], None]], AbstractContextManager[None]] = lambda kill: nullcontext(),
) -> None:
    """Run fer-deploy until it ends; `when` gets what kills it and all below it, and may call that."""
    command = [sys.executable, "-m", "fer_deploy", *map(str, words)]
    killed = threading.Event()
    with tempfile.TemporaryFile(dir=folder) as told:
        variables = os.environ | {"TMPDIR": str(folder)}
        program = subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=told, start_new_session=True
        )

        def kill() -> None:
            killed.set()
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.killpg(program.pid, signal.SIGKILL)

        with when(kill):
            program.wait()
        if program.returncode and not (killed.is_set() and program.returncode == -signal.SIGKILL):
            told.seek(0)
            said = told.read().decode(errors="replace")[-1500:]
            raise click.ClickException(f"{' '.join(command)} failed: {said}")


@contextmanager
def _three_nodes() -> Iterator[tuple[str, Callable[[], None]]]:
    """Start three nodes on this machine, with one CPU each; yield their address and what kills the last one."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9"}
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - the variables come first

    cluster = Cluster()
    try:
        nodes = [
            cluster.add_node(num_cpus=1, **_NODE, **({"include_dashboard": False} if number == 0 else {}))
            for number in range(3)
        ]
        yield cluster.address, lambda: cluster.remove_node(nodes[-1], allow_graceful=False)
    finally:
        cluster.shutdown()


def rows_of_way(way: Way, video: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of both tables, without the columns that only archives have."""
    if (way.out / video.stem).is_dir():
        names = {"faces": "faces.parquet", "frames": "faces.frames.parquet"}
        return {table: _table(way.out / video.stem / name).to_pylist() for table, name in names.items()}
    _run("archive", "join", way.out, folder=way.out)
    tables = {name: _parts(way.out / "tables" / name) for name in ("faces", "frames")}
    return {name: table.drop_columns(list(_OURS)).to_pylist() for name, table in tables.items()}


def _parts(folder: Path) -> pa.Table:
    return pa.concat_tables([_table(path) for path in sorted(folder.rglob("*.parquet"))])


def _table(path: Path) -> pa.Table:
    with path.open("rb") as file:
        return read_parquet(file)


def segments_of(way: Way) -> list[tuple[int, float, int]]:
    """Return frames, CPU seconds and bytes of each segment of an archive."""
    store = Store(str(way.out))
    manifest = Manifest.load(store)
    return [tuple(sample) for sample in samples_of(store, all_work(manifest, plans(manifest, store)))]
