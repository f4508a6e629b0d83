"""The report of fps.py: tables in Markdown and a chart. Measures nothing."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def as_markdown(results: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the report: a table a clip, then the stages of the live loop."""
    lines = [
        f"# Live loop against tutorials, {env['hardware']}", "",
        f"{env['date']}, Python {env['python']}, {env['rounds']} rounds, loops in turn, each in a process "
        "of its own.", "",
        f"    {env['command']}", "",
        "Speedup: frames per second against the YuNet tutorial with PyTorch eager, median over the rounds. CPU: of all "
        "threads. Latency of the tutorials: from the decoded frame to the drawn one; of the live loop: from the "
        "decoded frame to the result, which for a recording is mostly waiting in queues that are kept full. Of the "
        "slowest stage: frames per second against the analysis alone, the loop's own workers on frames in memory, "
        "nothing decoded or written; it has the cores to itself then. Networks alone: without tracking and order, too. "
        "Of the cores: CPU time of all threads over time and cores; 1.00 is a loop that cannot be faster without less "
        "work.", "",
    ]  # fmt: skip
    for result in results:
        lines += [
            f"## {result['clip']}", "",
            "| loop | speedup | frames/s | CPU, ms a frame | faces a frame | p50, ms | p95, ms | p99, ms | dropped "
            "| of the slowest stage | of the cores |", "|---|---|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [_row(row) for row in result["rows"]]
        lines += ["", "| stage of the live loop | p50, ms | p95, ms | busy, threads |", "|---|---|---|---|"]
        lines += _stage_rows(result["rows"])
        lines.append("")
    lines.append("On a CPU that other work shares, only ratios within the run mean something.")
    return "\n".join([*lines, ""])


def _row(row: dict[str, Any]) -> str:
    cells = [row["variant"], f"{row['speedup']:.2f}x", f"{row['fps']:.0f}", f"{row['cpu_ms_per_frame']:.1f}",
             f"{row['faces']:.2f}"]  # fmt: skip
    cells += [f"{row[name]:.1f}" if name in row else "" for name in ("p50_ms", "p95_ms", "p99_ms")]
    cells.append(f"{row['dropped']:.0f}" if "dropped" in row else "")
    cells += [f"{row[name]:.2f}" if name in row else "" for name in ("of_slowest_stage", "of_cores")]
    return f"| {' | '.join(cells)} |"


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
        colors = ["tab:blue" if row["variant"].startswith("live") else "lightgray" for row in rows]
        bars = panel.barh([row["variant"] for row in rows], [row["fps"] for row in rows], color=colors)
        panel.bar_label(bars, [f" {row['fps']:.0f}  ({row['speedup']:.1f}x, {row['faces']:.1f} faces)" for row in rows])
        panel.set_title(result["clip"])
        panel.set_xlabel("frames per second")
        panel.margins(x=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
