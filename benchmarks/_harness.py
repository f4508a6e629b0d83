"""What every benchmark shares: timing in turn, the hardware's name, the two result files."""

import json
import os
import platform
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch

from fer_deploy.detectors.yunet_file import ADDRESS, cache_file, file_at_hand, how_to_get
from fer_deploy.portable_paths import shown_path, without_folders_in_text
from fer_deploy.redaction import without_passwords
from fer_train.hardware import describe_hardware

RESULTS = Path(__file__).parent / "results"
SHARED = Path(os.environ.get("FER_SHARED", Path(__file__).parents[2] / "shared"))
"""Clips and models beside the checkout, as the tests have them."""


def shared_clips() -> tuple[Path, ...]:
    """Return the clips with faces that lie beside the checkout.

    Raises:
        click.UsageError: there is none.
    """
    clips = tuple(sorted((SHARED / "clips").glob("*.gif")))
    if not clips:
        raise click.UsageError(f"no clip in {SHARED / 'clips'}. Fix: --clip FILE, or FER_SHARED=FOLDER")
    return clips


def shared_yunet() -> Path:
    """Return YuNet's file: $FER_YUNET, that in the cache, or the one beside the checkout.

    Raises:
        click.UsageError: there is none.
    """
    found = file_at_hand() or SHARED / "models" / ADDRESS.rpartition("/")[2]
    if not found.exists():
        raise click.UsageError(f"no YuNet at {found}. Fix: --yunet FILE, or {how_to_get(cache_file())}")
    return found


def _or_shared_clips(context: click.Context, parameter: click.Parameter, clips: tuple[Path, ...]) -> tuple[Path, ...]:
    return clips or shared_clips()


def _or_shared_yunet(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path:
    return path or shared_yunet()


clips_option = click.option(
    "--clip", "clips", type=click.Path(path_type=Path, exists=True), multiple=True, callback=_or_shared_clips,
    help="With faces; several times.  [default: those beside the checkout]",
)  # fmt: skip
yunet_option = click.option(
    "--yunet", type=click.Path(path_type=Path, exists=True), callback=_or_shared_yunet,
    help="YuNet's .onnx.  [default: $FER_YUNET, the cache, beside the checkout]",
)  # fmt: skip


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


def result_path(what: str, device: torch.device) -> Path:
    """Return results/<what>_<hardware>_<yyyy-mm>.md."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    hardware = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return RESULTS / f"{what}_{hardware}_{datetime.now(UTC):%Y-%m}.md"


def write_results(path: Path, result: dict[str, Any], markdown: str) -> None:
    """Write the Markdown to `path` and everything that was measured beside it as JSON; paths without their folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(without_folders_in_text(markdown))
    path.with_suffix(".json").write_text(json.dumps(without_folders_anywhere(result), indent=2) + "\n")


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


def samples_by_round(calls: dict[str, Callable[[], object]], *, rounds: int, burst: int = 5
                     ) -> dict[str, list[Sample]]:  # fmt: skip
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
