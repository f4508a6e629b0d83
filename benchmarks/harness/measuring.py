"""Shared code of the benchmarks: alternating timing, name of the hardware, YuNet's file."""

import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import torch
from harness.clips import SHARED

from fer_deploy.detectors.yunet_file import ADDRESS, cache_file, file_at_hand, how_to_get
from fer_deploy.privacy.portable_paths import shown_path
from fer_deploy.privacy.redaction import without_passwords
from fer_train.hardware import describe_hardware


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
