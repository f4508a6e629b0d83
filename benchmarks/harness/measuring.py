"""Shared code of the benchmarks: alternating timing, name of the hardware, --out and --publish, result files."""

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
"""Folder of results in git; written only with --publish."""


def shared_yunet() -> Path:
    """Return YuNet's file: $FER_YUNET, the one in the cache, or the one beside the checkout.

    Raises:
        click.UsageError: there is no such file.
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
    """Return the median seconds of each call over `rounds`, alternating A B C A B C, after one warm-up round.

    Other work on the machine then affects all variants: ratios are valid even if absolute values are not.
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
    """Return the measured floating-point operations per second of square matrix products of this side."""
    a = torch.randn(side, side, device=device, dtype=dtype)

    def products() -> None:
        for _ in range(4):
            torch.mm(a, a)

    return 4 * 2 * side**3 / seconds_per_call({"mm": products}, rounds=5, device=device)["mm"]


def environment(device: torch.device) -> dict[str, str]:
    """Return hardware, versions, command and date: what a reader needs to repeat the run."""
    return {
        "hardware": describe_hardware(device),
        "python": platform.python_version(),
        "command": command_as_typed(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
    }


def command_as_typed(argv: Sequence[str]) -> str:
    """Return the command without local folders and without credentials in URLs."""
    words = []
    for word in argv[1:]:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        words.append(flag + equals + without_passwords(shown_path(value)))
    return shlex.join(["python", f"benchmarks/{Path(argv[0]).name}", *words])


def markdown_table(rows: Sequence[Mapping[str, object]], *, digits: int) -> list[str]:
    """Return the lines of a Markdown table; the first row's keys are the header."""
    cells = [[f"{v:.{digits}f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (list(rows[0]), ["---"] * len(rows[0]), *cells)]


def result_name(what: str, device: torch.device) -> str:
    """Return <what>_<hardware>_<yyyy-mm>.md."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    hardware = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{what}_{hardware}_{datetime.now(UTC):%Y-%m}.md"


Chart = Callable[[Path], None]
"""Function that draws a picture into a file."""


@dataclass(frozen=True)
class Output:
    """Destination of the results of a benchmark.

    Attributes:
        out: .md file to write; None: a file in `UNPUBLISHED`.
        publish: whether to write to `RESULTS` too.
    """

    out: Path | None
    publish: bool

    def paths(self, what: str, device: torch.device) -> list[Path]:
        """Return the .md files to write."""
        name = result_name(what, device)
        return [self.out or UNPUBLISHED / name, *([RESULTS / name] if self.publish else [])]

    def earlier(self, what: str, device: torch.device) -> Path:
        """Return the .json of an earlier run; if there is none, the published one."""
        *unpublished, published = replace(self, publish=True).paths(what, device)
        places = [published] if self.publish else [*unpublished, published]
        tables = [path.with_suffix(".json") for path in places]
        return next((table for table in tables if table.exists()), tables[-1])

    def write(
        self, what: str, device: torch.device, result: dict[str, Any], markdown: str, chart: Chart | None = None
    ) -> None:
        """Write all results and print their paths."""
        for path in self.paths(what, device):
            write_results(path, result, markdown, chart)
            click.echo(f"written: {path}")


def _untracked(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.resolve().is_relative_to(RESULTS.resolve()):
        raise click.UsageError(f"{path} is among the published results. Fix: --publish writes there; or another --out")
    return path


publish_option = click.option("--publish", is_flag=True, help="Write to benchmarks/results, too.")


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --out and --publish to a command, which receives them as the argument `output`."""

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
    """Write the Markdown to `path`, and beside it all results as JSON and the chart as PNG.

    Folders are removed from absolute paths.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path.with_suffix(".json"), (json.dumps(without_folders_anywhere(result), indent=2) + "\n").encode())
    if chart is not None:
        with whole_file(path.with_suffix(".png")) as draft:
            chart(draft)
    write_whole(path, without_folders_in_text(markdown).encode())


def without_folders_anywhere(value: Any) -> Any:
    """Return plain data without the folders of absolute paths in its texts."""
    if isinstance(value, Mapping):
        return {name: without_folders_anywhere(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders_anywhere(inner) for inner in value]
    return without_folders_in_text(value) if isinstance(value, str) else value


_SETTLE_S = 0.01
"""Seconds in which spinning threads of the previous engine go to sleep."""


class Sample(NamedTuple):
    """One timed call.

    Attributes:
        wall_ms: elapsed time.
        cpu_ms: CPU time of this process's threads, without waiting for a busy core.
    """

    wall_ms: float
    cpu_ms: float


def samples_by_round(calls: dict[str, Callable[[], object]], *, rounds: int, burst: int = 5) -> dict[str, list[Sample]]:
    """Return rounds x burst samples of each call, alternating: aAAAAA bBBBBB aAAAAA bBBBBB; lower case is not timed.

    The untimed call excludes spinning threads and caches of the previous library, because an engine in use is called
    repeatedly. There is one warm-up round. A call must return only when its result is in the host's memory, so that no
    device needs synchronization. No sample is dropped as an outlier; p99 shows outliers.
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
    """Return the median over the samples of reference / candidate, which cancels the load of a round."""
    return statistics.median(r / c for r, c in zip(reference_ms, candidate_ms, strict=True))
