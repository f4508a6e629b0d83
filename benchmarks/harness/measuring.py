"""What every benchmark shares: timing in turn, the hardware's name, --out and --publish, the result files."""

import functools
import json
import platform
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from harness.clips import SHARED, UNPUBLISHED

from fer_deploy.detectors.yunet_file import ADDRESS, cache_file, file_at_hand, how_to_get
from fer_deploy.durable import whole_file, write_whole
from fer_deploy.privacy.portable_paths import shown_path, without_folders_in_text
from fer_deploy.privacy.redaction import without_passwords
from fer_train.hardware import describe_hardware

RESULTS = Path(__file__).parents[1] / "results"
"""Tracked by git: written only with --publish."""


def shared_yunet() -> Path:
    """Return YuNet's file: $FER_YUNET, that in the cache, or the one beside the checkout.

    Raises:
        click.UsageError: there is none.
    """
    found = file_at_hand() or SHARED / "models" / ADDRESS.rpartition("/")[2]
    if not found.exists():
        raise click.UsageError(f"no YuNet at {found}. Fix: --yunet FILE, or {how_to_get(cache_file())}")
    return found


def _or_shared_yunet(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path:
    return path or shared_yunet()


yunet_option = click.option(
    "--yunet",
    type=click.Path(path_type=Path, exists=True),
    callback=_or_shared_yunet,
    help="YuNet's .onnx.  [default: $FER_YUNET, the cache, beside the checkout]",
)


def seconds_per_call(calls: dict[str, Callable[[], None]], *, rounds: int, device: torch.device) -> dict[str, float]:
    """Return the median seconds of each call over `rounds`, in turn: A B C A B C, after one warm-up round.

    Alternating spreads whatever else the machine does over all variants; ratios hold even where absolutes do not.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(rounds + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matmul_flops(device: torch.device, dtype: torch.dtype, *, side: int) -> float:
    """Return the measured floating-point operations a second of square matrix products of this side."""
    a = torch.randn(side, side, device=device, dtype=dtype)

    def products() -> None:
        for _ in range(4):
            torch.mm(a, a)

    return 4 * 2 * side**3 / seconds_per_call({"mm": products}, rounds=5, device=device)["mm"]


def environment(device: torch.device) -> dict[str, str]:
    """Return what a reader needs to repeat the run."""
    return {
        "hardware": describe_hardware(device),
        "python": platform.python_version(),
        "command": command_as_typed(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
    }


def command_as_typed(argv: Sequence[str]) -> str:
    """Return the command without folders of this machine and without what addresses keep secret."""
    words = []
    for word in argv[1:]:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        words.append(flag + equals + without_passwords(shown_path(value)))
    return shlex.join(["python", f"benchmarks/{Path(argv[0]).name}", *words])


def markdown_table(rows: Sequence[Mapping[str, object]], *, digits: int) -> list[str]:
    """Return the lines of a table with the first row's keys as its head."""
    cells = [[f"{v:.{digits}f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (list(rows[0]), ["---"] * len(rows[0]), *cells)]


def result_name(what: str, device: torch.device) -> str:
    """Return <what>_<hardware>_<yyyy-mm>.md."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    hardware = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{what}_{hardware}_{datetime.now(UTC):%Y-%m}.md"


Chart = Callable[[Path], None]
"""Draws a picture into a file."""


@dataclass(frozen=True)
class Output:
    """Where the results of a benchmark go.

    Attributes:
        out: .md to write; None: one in `UNPUBLISHED`.
        publish: whether they go to `RESULTS`, too.
    """

    out: Path | None
    publish: bool

    def paths(self, what: str, device: torch.device) -> list[Path]:
        """Return the .md files to write."""
        name = result_name(what, device)
        return [self.out or UNPUBLISHED / name, *([RESULTS / name] if self.publish else [])]

    def earlier(self, what: str, device: torch.device) -> Path:
        """Return the .json that an earlier run wrote there; if there is none, the published one."""
        *unpublished, published = replace(self, publish=True).paths(what, device)
        places = [published] if self.publish else [*unpublished, published]
        tables = [path.with_suffix(".json") for path in places]
        return next((table for table in tables if table.exists()), tables[-1])

    def write(
        self, what: str, device: torch.device, result: dict[str, Any], markdown: str, chart: Chart | None = None
    ) -> None:
        """Write everything that was measured, and tell where."""
        for path in self.paths(what, device):
            write_results(path, result, markdown, chart)
            click.echo(f"written: {path}")


def _untracked(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.resolve().is_relative_to(RESULTS.resolve()):
        raise click.UsageError(f"{path} is among the published results. Fix: --publish writes there; or another --out")
    return path


publish_option = click.option("--publish", is_flag=True, help="Write to benchmarks/results, too.")


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --out and --publish to a command, which gets them as the argument `output`."""

    @functools.wraps(command)
    def with_output(*, out: Path | None, publish: bool, **options: Any) -> None:
        command(output=Output(out, publish), **options)

    out_option = click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_untracked,
        help=".md to write, and .json beside it.  [default: in artifacts/benchmarks]",
    )
    return out_option(publish_option(with_output))


def write_results(path: Path, result: dict[str, Any], markdown: str, chart: Chart | None = None) -> None:
    """Write the Markdown to `path`, and beside it everything that was measured as JSON and the chart as PNG.

    Absolute paths lose their folders.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path.with_suffix(".json"), (json.dumps(without_folders_anywhere(result), indent=2) + "\n").encode())
    if chart is not None:
        with whole_file(path.with_suffix(".png")) as draft:
            chart(draft)
    write_whole(path, without_folders_in_text(markdown).encode())


def without_folders_anywhere(value: Any) -> Any:
    """Return plain data with absolute paths in its texts as they would be typed."""
    if isinstance(value, Mapping):
        return {name: without_folders_anywhere(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders_anywhere(inner) for inner in value]
    return without_folders_in_text(value) if isinstance(value, str) else value


_SETTLE_S = 0.01
"""Spinning threads of the engine before go to sleep in this time."""


class Sample(NamedTuple):
    """One timed call.

    Attributes:
        wall_ms: what a user waits.
        cpu_ms: time of this process's threads on their cores; waiting for a core that other work has is not in it.
    """

    wall_ms: float
    cpu_ms: float


def samples_by_round(calls: dict[str, Callable[[], object]], *, rounds: int, burst: int = 5) -> dict[str, list[Sample]]:
    """Return rounds x burst samples of each call, in turn: aAAAAA bBBBBB aAAAAA bBBBBB, those of lower case not timed.

    Threads of one library that still spin when another is called, and caches full of its weights, would else be
    measured with every single call: an engine in use is called again and again. A round of warm-up comes before. A call
    must not return before its result is in the host's memory: then no device needs to be synchronized. Nothing is left
    out as an outlier; p99 is there to show them.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in calls}
    for round_number in range(-1, rounds):
        for name, call in calls.items():
            time.sleep(_SETTLE_S)
            call()
            for _ in range(burst):
                sample = _timed(call)
                if round_number >= 0:
                    samples[name].append(sample)
    return samples


def _timed(call: Callable[[], object]) -> Sample:
    started, cpu_started = time.perf_counter(), time.process_time()
    call()
    return Sample(1e3 * (time.perf_counter() - started), 1e3 * (time.process_time() - cpu_started))


def speedup_by_round(reference_ms: list[float], candidate_ms: list[float]) -> float:
    """Return the median over the samples of reference / candidate: what slows a whole round drops out."""
    return statistics.median(r / c for r, c in zip(reference_ms, candidate_ms, strict=True))
