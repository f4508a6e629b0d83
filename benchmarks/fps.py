"""Measure frames per second of the live loop and of tutorial loops on the same clips in one run.

Each loop runs in a separate process; the loops alternate in rounds, so other work on the machine affects all of them,
and ratios are computed within a round. The tutorials read, detect on the full frame, run the network face by face and
draw. The live loop writes JSONL. Its limit on a CPU is cores / CPU time per frame. "Analysis alone" is the slowest
stage: the loop's workers on frames in memory, without decoding or writing. "Networks alone" is less than a stage:
frames in memory, detection, crops and classification with the same number of threads, without tracking and order.

    python benchmarks/fps.py
    python benchmarks/fps.py --clip a.mp4 --clip b.mp4 --yunet face_detection_yunet_2026may.onnx

Clips of people are in https://github.com/intel-iot-devkit/sample-videos (CC BY 4.0). The default is the clips in
../shared/clips, or the drawn faces of the synthetic source if there are none.

YuNet's file of March 2023 does not work: its size is fixed to 640x640, and our loop runs it at the size of the frame.
"""

import statistics
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from harness.apart import run_apart
from harness.clips import clips_option
from harness.comparing import Measure, noted_measure
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.fps_report import CAMERA, WATCHED, as_markdown, write_chart
from rich.console import Console

from fer_deploy.engines.threads import available_cores

REFERENCE = "YuNet tutorial"
CHECKPOINT = "weights/senet-ferplus.safetensors"
_HERE = Path(__file__).parent
_console = Console()
_there = click.Path(path_type=Path, exists=True)


def variants(*, frames: int, tutorial_frames: int) -> dict[str, dict[str, Any]]:
    """Return the loops to compare: name to request for `live.loops`, without files."""
    tutorial, ours = {"frames": tutorial_frames}, {"frames": frames, "kind": "live"}
    camera = {"detect_every": "auto", "realtime_fps": 30}
    return {
        "Haar tutorial": {**tutorial, "kind": "tutorial", "detector": "haar"},
        REFERENCE: {**tutorial, "kind": "tutorial", "detector": "yunet"},
        "Haar tutorial, our engine": {**tutorial, "kind": "engine", "detector": "haar"},
        "YuNet tutorial, our engine": {**tutorial, "kind": "engine", "detector": "yunet"},
        "live loop": {**ours, "detect_every": 1},
        "live loop, detection in every 3rd frame": {**ours, "detect_every": 3},
        "analysis alone": {"frames": frames, "kind": "stage", "detect_every": 1},
        "analysis alone, detection in every 3rd frame": {"frames": frames, "kind": "stage", "detect_every": 3},
        "networks alone": {"frames": frames, "kind": "alone", "detect_every": 1},
        "networks alone, detection in every 3rd frame": {"frames": frames, "kind": "alone", "detect_every": 3},
        CAMERA: {**ours, **camera},
        WATCHED: {**ours, **camera, "record": True, "serve": True},
    }


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Run one loop in a separate process.

    Raises:
        click.ClickException: the loop failed; the message has the end of its output.
    """
    return run_apart("live.loops", request, folder=_HERE)


def summarize(rounds: list[dict[str, dict[str, Any]]], *, cores: int) -> list[dict[str, Any]]:
    """Return one row per variant: medians over the rounds, and the ratio to the reference within each round."""
    rows = []
    for name in rounds[0]:
        runs = [one[name] for one in rounds]
        row: dict[str, Any] = {
            "variant": name,
            "frames": runs[0]["frames"],
            "faces": runs[0]["faces"] / runs[0]["frames"],
        }
        for key in ("fps", "cpu_ms_per_frame", "p50_ms", "p95_ms", "p99_ms", "dropped", "k", "k_max"):
            values = [run[key] for run in runs if key in run]
            if values:
                row[key] = max(values) if key == "k_max" else statistics.median(values)
        row["speedups"] = [one[name]["fps"] / one[REFERENCE]["fps"] for one in rounds]
        row["speedup"] = statistics.median(row["speedups"])
        row["stages"] = runs[-1].get("stages", {})
        if name.startswith("live loop") and (alone := name.replace("live loop", "analysis alone")) in rounds[0]:
            row["of_cores"] = statistics.median(
                one[name]["fps"] * one[name]["cpu_ms_per_frame"] / 1e3 / cores for one in rounds
            )
            row["of_slowest_stage"] = statistics.median(one[name]["fps"] / one[alone]["fps"] for one in rounds)
        rows.append(row)
    return rows


def measures_of(results: list[dict[str, Any]]) -> list[Measure]:
    """Return what --compare compares: how many times as fast as the reference each variant is."""
    return [
        noted_measure(
            f"{one['clip']}, {row['variant']}: speedup",
            row["speedup"],
            row.get("speedups"),
            better="higher",
            is_ratio=True,
        )
        for one in results
        for row in one["rows"]
    ]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    results = result["clips"]
    return Report(as_markdown(results, result["environment"]), measures_of(results), partial(write_chart, results))


@click.command()
@clips_option
@yunet_option
@click.option("--engine", type=_there, help="Our model.  [default: the bundled one]")
@click.option(
    "--device",
    type=click.Choice(["cpu", "openvino"]),
    default="cpu",
    show_default=True,
    help="Of our model: cpu is ONNX Runtime.",
)
@click.option(
    "--checkpoint", type=_there, default="weights/senet-ferplus.safetensors", show_default=True, help="For PyTorch."
)
@click.option("--frames", default=1000, show_default=True, help="Frames per clip, which is looped.")
@click.option("--tutorial-frames", default=200, show_default=True, help="The same for the slow loops.")
@click.option("--rounds", default=3, show_default=True)
@output_options(report)
def main(
    clips: tuple[Path, ...],
    yunet: Path,
    engine: Path | None,
    device: str,
    checkpoint: Path,
    frames: int,
    tutorial_frames: int,
    rounds: int,
    output: Output,
) -> None:
    """Compare the live loop with tutorial loops."""
    files = {"yunet": str(yunet), "engine": str(engine or ""), "device": device, "checkpoint": str(checkpoint)}
    wanted = variants(frames=frames, tutorial_frames=tutorial_frames)
    results = []
    for clip in clips:
        measured: list[dict[str, dict[str, Any]]] = []
        for number in range(rounds):
            done: dict[str, dict[str, Any]] = {}
            for name, request in wanted.items():
                done[name] = measure({**request, **files, "clip": str(clip)})
                _console.print(f"{clip.name}, round {number + 1}/{rounds}, {name}: {done[name]['fps']:.1f} frames/s")
            measured.append(done)
        results.append({"clip": clip.name, "rows": summarize(measured, cores=available_cores())})
    cpu = torch.device("cpu")
    env = environment(cpu) | {"rounds": str(rounds), "yunet": yunet.name, "device": device}
    output.write("fps", cpu, {"environment": env, "clips": results})


if __name__ == "__main__":
    main()
