"""Find how many cameras one process of the live loop can serve: an open loop, in which frames arrive by the clock.

A number of cameras holds if every frame after the warm-up has a result, and p99 of the time from a frame's arrival to
its result is within the limit. The highest number is searched by doubling and halving, then repeated; each try is a
process of its own. A closed loop would hide stalls: it asks for the next frame only when it is ready.

The cameras show a clip at its own size, each from another frame on, and not in step with each other. A frame arrives
as JPEG, as from a network camera, and is decoded by the loop's capture thread; with --decoded it arrives as pixels.

    python benchmarks/cameras.py                    # of 30 and of 15 frames/s, p99 at most 50 ms
    python benchmarks/cameras.py --fps 30
    python benchmarks/cameras.py --fps 15 --detect-every 1 --seconds 10
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, get_args

import click
import torch
from harness.apart import run_apart
from harness.clips import clips_option
from harness.comparing import Measure
from harness.machine import machine_lines
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.cameras_report import as_markdown
from rich.console import Console

from fer_deploy.artifacts import Family
from fer_deploy.engines import bundled_model_for
from fer_deploy.engines.threads import available_cores

Trial = dict[str, Any]
_console = Console(stderr=True)
_there = click.Path(path_type=Path, exists=True)


@dataclass(frozen=True)
class Search:
    """The result of a search.

    Attributes:
        cameras: the highest number that held every time it was tried; 0 if one camera is too many.
        trials: every try, in their order.
        is_bounded: whether a larger number was tried and failed.
    """

    cameras: int
    trials: tuple[Trial, ...]
    is_bounded: bool


def holds(trial: Trial, limit_ms: float) -> bool:
    """Return whether no frame was dropped and p99 is within the limit."""
    return trial["dropped"] == 0 and trial["p99_ms"] is not None and trial["p99_ms"] <= limit_ms


def most_cameras(attempt: Callable[[int], Trial], *, limit_ms: float, most: int, confirm: int) -> Search:
    """Search the highest number of cameras that holds, by doubling and halving.

    Args:
        attempt: measures a number of cameras.
        limit_ms: of p99.
        most: largest number to try.
        confirm: how often the number found must hold again; if it fails once, one camera less is tried.
    """
    trials: list[Trial] = []

    def is_held(number: int) -> bool:
        trials.append(attempt(number))
        return holds(trials[-1], limit_ms)

    low, high = 0, 1
    while high <= most and is_held(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_held(middle) else (low, middle)
    while low and not all(is_held(low) for _ in range(confirm)):
        low -= 1
    return Search(low, tuple(trials), any(not holds(trial, limit_ms) for trial in trials))


def limit_of(search: Search, limit_ms: float) -> dict[str, Any] | None:
    """Return why the smallest number that failed did so, and its busiest stage; None if none failed."""
    failed = [trial for trial in search.trials if not holds(trial, limit_ms)]
    if not failed:
        return None
    first = min(failed, key=lambda trial: trial["cameras"])
    reasons = ["frames were dropped"] if first["dropped"] else []
    if first["p99_ms"] is None or first["p99_ms"] > limit_ms:
        reasons.append(f"p99 over {limit_ms:g} ms")
    stage = max(first["busy"], key=lambda name: float(first["busy"][name]))
    return {"cameras": first["cameras"], "why": " and ".join(reasons), "stage": stage, "of_cores": first["of_cores"]}


def measure(attempt: Callable[[int], Trial], *, limit_ms: float, most: int, confirm: int) -> dict[str, Any]:
    """Return the search's result, with one try at twice the number to see how an overload is shared."""
    search = most_cameras(attempt, limit_ms=limit_ms, most=most, confirm=confirm)
    at_limit = [trial for trial in search.trials if trial["cameras"] == search.cameras]
    return {
        "cameras": search.cameras,
        "is_bounded": search.is_bounded,
        "limit": limit_of(search, limit_ms),
        "at_limit": max(at_limit, key=lambda trial: float(trial["p99_ms"] or 0), default=None),
        "overload": attempt(max(2, 2 * search.cameras)),
        "trials": list(search.trials),
    }


def measures_of(rows: list[dict[str, Any]], limit_ms: float) -> list[Measure]:
    """Return what --compare compares: the number of cameras.

    The interval goes from the number that held every time to the largest that held at least once. It has no bounds if
    the search ended without a number that failed.
    """
    found = []
    for row in rows:
        name = f"{row['clip']}, {row['model']} at {row['fps']:g} frames/s: cameras"
        once = [trial["cameras"] for trial in row["trials"] if holds(trial, limit_ms)]
        high = max([row["cameras"], *once])
        bounds = (row["cameras"], high) if row["is_bounded"] else (None, None)
        found.append(Measure(name, row["cameras"], *bounds, "higher"))
    return found


def report(result: Result) -> Report:
    """Return what the result file shows."""
    env, rows = result["environment"], result["results"]
    text = as_markdown(rows, env, machine_lines(result.get("host")))
    return Report(text, measures_of(rows, float(env["limit_ms"])), names_machine=True)


def _attempt(request: dict[str, Any], number: int) -> Trial:
    trial = run_apart("live.camera_load", {**request, "kind": "cameras", "cameras": number})
    p99 = "no result" if trial["p99_ms"] is None else f"p99 {trial['p99_ms']:.1f} ms"
    _console.print(
        f"{number} cameras at {trial['fps']:g} frames/s: {p99}, {trial['dropped']} of {trial['due']} dropped"
    )
    return trial


def _model_file(name: str) -> Path:
    """Return the file of a bundled model, or of a path."""
    for family in get_args(Family):
        if name == family:
            return bundled_model_for("cpu", family)
    if not Path(name).exists():
        raise click.BadParameter(f"no bundled model and no file {name}. Fix: one of {', '.join(get_args(Family))}")
    return Path(name)


@click.command()
@clips_option
@yunet_option
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("ferplus", "nano-ferplus"),
    show_default=True,
    callback=lambda _, __, values: tuple(map(_model_file, values)),
    help="A bundled model, or a file. Repeatable.",
)
@click.option("--fps", "rates", multiple=True, type=float, default=(30.0, 15.0), show_default=True, help="Repeatable.")
@click.option("--detect-every", default="auto", show_default=True, help="As for fer-deploy live.")
@click.option("--limit-ms", default=50.0, show_default=True, help="Of p99, from a frame's arrival to its result.")
@click.option("--seconds", default=5.0, show_default=True, help="Length of each try, after the warm-up.")
@click.option("--warm-up-s", default=3.0, show_default=True, help="Its frames do not count: the loop learns its load.")
@click.option("--most", default=64, show_default=True, help="Largest number of cameras to try.")
@click.option("--confirm", default=2, show_default=True, help="How often the number found must hold again.")
@click.option("--decoded", is_flag=True, help="Frames arrive as pixels, not as JPEG.")
@output_options(report)
def main(
    clips: tuple[Path, ...],
    yunet: Path,
    models: tuple[Path, ...],
    rates: tuple[float, ...],
    detect_every: str,
    limit_ms: float,
    seconds: float,
    warm_up_s: float,
    most: int,
    confirm: int,
    decoded: bool,
    output: Output,
) -> None:
    """Count the cameras that one process serves in time and without a loss."""
    request = {
        "detect_every": detect_every if detect_every == "auto" else int(detect_every),
        "seconds": seconds,
        "warm_up_s": warm_up_s,
        "jpeg": not decoded,
        "yunet": str(yunet),
    }
    rows = []
    for clip, model, fps in product(clips, models, rates):
        _console.print(f"{clip.name}, {model.name}:")
        attempt = partial(_attempt, {**request, "clip": str(clip), "engine": str(model), "fps": fps})
        found = measure(attempt, limit_ms=limit_ms, most=most, confirm=confirm)
        rows.append({"clip": clip.name, "model": model.name, "fps": fps, **found})
    device = torch.device("cpu")
    env = environment(device) | {"cores": str(available_cores()), "limit_ms": f"{limit_ms:g}", "yunet": yunet.name}
    output.write("cameras", device, {"environment": env, "results": rows})


if __name__ == "__main__":
    main()
