"""Write the report of fps.py: tables in Markdown and a chart. Measures nothing."""

from pathlib import Path
from typing import Any

from harness.bars import draw_bars
from matplotlib.figure import Figure

from fer_deploy.vision.palette import GOOD_COLOR, PLAIN_COLOR

CAMERA = "live loop at 30 frames/s, as a camera"
WATCHED = f"{CAMERA}, recorded and watched"


STAGES = (
    "Stages: time per frame, over the frames that pass the stage (detect: the frames with detection). Frames that are "
    "classified in one call share its time by their faces; each waiting frame counts its full waiting time."
)


def as_markdown(results: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the report as Markdown: one table per clip, then the stages of the live loop.

    Results of before 2026-11-29 say in "stages" of their environment what the times of their stages were.
    """
    lines = [
        f"# Live loop against tutorials, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, {env['rounds']} rounds, alternating loops in separate processes.",
        "",
        f"    {env['command']}",
        "",
        "Speedup: frames per second against the YuNet tutorial with PyTorch eager, median over the rounds. CPU: of all "
        "threads of the loop's process. Latency of the tutorials: from the decoded frame to the drawn one. Latency of "
        "the live loop: from the moment a decoded frame enters it to the moment its result goes to the outputs: "
        "waiting for a worker, detection, tracking, cropping, classification and smoothing, without camera and "
        "decoding before and drawing, writing and sending after. For a recording it is mostly waiting in full queues. "
        "k: the detector "
        "runs on every k-th frame; if the loop chooses k, median and maximum over time. Recorded and watched: also an "
        "annotated .mp4, and the page with one viewer, a separate process on the same cores. "
        f"YuNet: {env.get('yunet', 'see the command')}. Of the "
        "slowest stage: frames per second relative to the analysis alone: the loop's own workers on frames in memory, "
        "without decoding or writing, and alone on the cores. Networks alone: also without tracking and order. "
        "Of the cores: CPU time of all threads over time and cores; a loop at 1.00 cannot be faster without less work.",
        "",
    ]
    for result in results:
        lines += [
            f"## {result['clip']}",
            "",
            "| loop | speedup | frames/s | CPU, ms a frame | faces a frame | p50, ms | p95, ms | p99, ms | dropped "
            "| k | of the slowest stage | of the cores |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_row(row) for row in result["rows"]]
        lines += [
            "",
            env.get("stages", STAGES),
            "",
            "| stage of the live loop | p50, ms | p95, ms | busy, threads |",
            "|---|---|---|---|",
        ]
        lines += _stage_rows(result["rows"])
        lines.append("")
    lines.append("On a shared CPU only ratios within the run are meaningful.")
    return "\n".join([*lines, ""])


def _row(row: dict[str, Any]) -> str:
    cells = [
        row["variant"],
        f"{row['speedup']:.2f}x",
        f"{row['fps']:.0f}",
        f"{row['cpu_ms_per_frame']:.1f}",
        f"{row['faces']:.2f}",
    ]
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
    """Draw frames per second as bars, one panel per clip."""
    figure = Figure(figsize=(11, 1.2 + 2.8 * len(results)), layout="constrained")
    for panel, result in zip(figure.subplots(len(results), 1, squeeze=False)[:, 0], results, strict=True):
        rows = [row for row in result["rows"] if "as a camera" not in row["variant"]]
        colors = [GOOD_COLOR if row["variant"].startswith("live") else PLAIN_COLOR for row in rows]
        values = [row["fps"] for row in rows]
        texts = [f"{row['fps']:,.0f}  ({row['speedup']:.1f}x, {row['faces']:.1f} faces)" for row in rows]
        draw_bars(panel, [row["variant"] for row in rows], values, texts, colors)
        panel.set_title(result["clip"])
        cameras = {
            row["variant"]: f"{row['p95_ms']:.0f} ms" for row in result["rows"] if "as a camera" in row["variant"]
        }
        notes = [f"{name}: p95 latency {p95}" for name, p95 in cameras.items()]
        panel.set_xlabel("\n".join(["frames per second", *notes]))
    figure.savefig(path, dpi=110)
