"""The report of fps.py: tables in Markdown and a chart. Measures nothing."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fer_deploy.vision.palette import GOOD_COLOR, PLAIN_COLOR

CAMERA = "live loop at 30 frames/s, as a camera"
WATCHED = f"{CAMERA}, recorded and watched"


STAGES = (
    "Stages: each frame's own time, of the frames that pass the stage (detect: those that the detector looks at). "
    "Frames that are classified in one call share its time by their faces; frames that wait together wait in full."
)


def as_markdown(results: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the report: a table a clip, then the stages of the live loop."""
    lines = [
        f"# Live loop against tutorials, {env['hardware']}", "",
        f"{env['date']}, Python {env['python']}, {env['rounds']} rounds, loops in turn, each in a process "
        "of its own.", "",
        f"    {env['command']}", "",
        "Speedup: frames per second against the YuNet tutorial with PyTorch eager, median over the rounds. CPU: of all "
        "threads of the loop's process. Latency of the tutorials: from the decoded frame to the drawn one. Latency of "
        "the live loop: from the moment at which a decoded frame is handed to it to the moment at which its result is "
        "handed to the outputs: waiting for a worker, detecting, following, cropping, classifying and smoothing. "
        "Neither the camera and decoding before nor drawing, writing and sending after are in it. For a recording it "
        "is mostly waiting in queues that are kept full. k: the detector looks at every k-th frame; where the loop "
        "chooses it, median and maximum over time. Recorded and watched: an annotated .mp4 too, and the page with "
        f"one reader, a process of its own on the same cores. YuNet: {env.get('yunet', 'see the command')}. Of the "
        "slowest stage: frames per second against the analysis alone, the loop's own workers on frames in memory, "
        "nothing decoded or written; it has the cores to itself then. Networks alone: without tracking and order, too. "
        "Of the cores: CPU time of all threads over time and cores; 1.00 is a loop that cannot be faster without less "
        "work.", "",
    ]  # fmt: skip
    for result in results:
        lines += [
            f"## {result['clip']}", "",
            "| loop | speedup | frames/s | CPU, ms a frame | faces a frame | p50, ms | p95, ms | p99, ms | dropped "
            "| k | of the slowest stage | of the cores |", "|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [_row(row) for row in result["rows"]]
        lines += ["", STAGES, "", "| stage of the live loop | p50, ms | p95, ms | busy, threads |", "|---|---|---|---|"]
        lines += _stage_rows(result["rows"])
        lines.append("")
    lines.append("On a CPU that other work shares, only ratios within the run mean something.")
    return "\n".join([*lines, ""])


def _row(row: dict[str, Any]) -> str:
    cells = [row["variant"], f"{row['speedup']:.2f}x", f"{row['fps']:.0f}", f"{row['cpu_ms_per_frame']:.1f}",
             f"{row['faces']:.2f}"]  # fmt: skip
    cells += [f"{row[name]:.1f}" if name in row else "" for name in ("p50_ms", "p95_ms", "p99_ms")]
    cells.append(f"{row['dropped']:.0f}" if "dropped" in row else "")
    cells.append(_interval(row))
    cells += [f"{row[name]:.2f}" if name in row else "" for name in ("of_slowest_stage", "of_cores")]
    return f"| {' | '.join(cells)} |"


def _interval(row: dict[str, Any]) -> str:
    if "k" not in row:
        return ""
    return f"{row['k']:.0f}" if row["k"] == row["k_max"] else f"{row['k']:.0f}, at most {row['k_max']:.0f}"


def _stage_rows(rows: list[dict[str, Any]]) -> list[str]:
    stages = next((row["stages"] for row in rows if row["stages"]), {})
    return [
        f"| {name} | {stage['p50_ms']:.2f} | {stage['p95_ms']:.2f} | "
        f"{'' if name in ('queue', 'wait', 'total') else format(stage['busy'], '.2f')} |"
        for name, stage in stages.items()
    ]


def write_chart(results: list[dict[str, Any]], path: Path) -> None:
    """Draw frames per second as bars, a panel for each clip."""
    figure = Figure(figsize=(11, 1.2 + 2.8 * len(results)), layout="constrained")
    for panel, result in zip(figure.subplots(len(results), 1, squeeze=False)[:, 0], results, strict=True):
        rows = [row for row in result["rows"] if "as a camera" not in row["variant"]][::-1]
        colors = [GOOD_COLOR if row["variant"].startswith("live") else PLAIN_COLOR for row in rows]
        bars = panel.barh([row["variant"] for row in rows], [row["fps"] for row in rows], color=colors)
        panel.bar_label(bars, [f" {row['fps']:.0f}  ({row['speedup']:.1f}x, {row['faces']:.1f} faces)" for row in rows])
        panel.set_title(result["clip"])
        cameras = {
            row["variant"]: f"{row['p95_ms']:.0f} ms" for row in result["rows"] if "as a camera" in row["variant"]
        }
        notes = [f"{name}: p95 latency {p95}" for name, p95 in cameras.items()]
        panel.set_xlabel("\n".join(["frames per second", *notes]))
        panel.margins(x=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
