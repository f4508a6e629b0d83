"""Write the report of latency.py: tables in Markdown and a chart of the speedups. Measures nothing."""

from pathlib import Path
from typing import Any

from harness.artifacts import EAGER
from harness.bars import draw_bars
from matplotlib.figure import Figure

from fer_deploy.vision.palette import GOOD_COLOR, INK, PLAIN_COLOR

_OPERATORS = 4
"""That have a share of their own in the text."""


def as_markdown(results: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the report as Markdown: files and accuracy first, then latency by batch."""
    lines = [
        f"# Latency, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, ONNX Runtime {env['onnxruntime']}, device {env['device']}, "
        f"{env['threads']} threads for every engine, engines in turn; load of the machine before the run "
        f"{env['load']}.",
        "",
        f"    {env['command']}",
        "",
        "Latency: from uint8 faces in the host's memory to logits in the host's memory. Speedup: against PyTorch eager "
        "FP32, median over pairs of windows, with the 95 % interval of the bootstrap; in CPU time: of the time that "
        "the process's threads computed, which other work on the machine hardly changes. Roof: faces/s as a share of "
        "what the machine's FP32 matrix products and copies allow. Not MLPerf. Energy of the whole machine for one "
        f"face: {env.get('energy', 'not noted')}.",
        "",
        "| model | engine | file | size, MB | same emotion on 256 drawn faces |",
        "|---|---|---|---|---|",
    ]
    lines += [_file_row(result) for result in results]
    lines += [
        "",
        "| model | engine | batch | speedup | in CPU time | p50, ms | p90, ms | p99, ms | faces/s | roof | mJ/face "
        "| stable |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_latency_row(result, row) for result in results for row in result.get("latency", [])]
    lines += _profiles(results)
    failed = [f"- {r['model']}, {r['engine']}: {r['failure']}" for r in results if "failure" in r]
    if failed:
        lines += ["", "Not run:", "", *failed]
    if "cuda" not in env["device"]:
        lines += [
            "",
            "On a shared CPU only ratios within the run are meaningful, especially those in CPU time.",
        ]
    return "\n".join([*lines, ""])


def _profiles(results: list[dict[str, Any]]) -> list[str]:
    """Return a table of the time by operator; none for results without profiles."""
    lines = [
        f"| {result['model']} | {result['file']} | {one['batch']} | {one['call_ms']:.2f} | {_shares(one['shares'])} |"
        for result in results
        for one in result.get("profiles", [])
    ]
    if not lines:
        return []
    text = "Where the time goes, by ONNX Runtime's profile, which makes a call slower: shares of the operators."
    return ["", text, "", "| model | file | batch | a call, ms | operators |", "|---|---|---|---|---|", *lines]


def _shares(shares: dict[str, float]) -> str:
    shown = [f"{operator} {share:.0%}" for operator, share in list(shares.items())[:_OPERATORS]]
    rest = sum(list(shares.values())[_OPERATORS:])
    return ", ".join([*shown, *([f"others {rest:.0%}"] if rest else [])])


def _file_row(result: dict[str, Any]) -> str:
    size = f"{result['bytes'] / 1e6:.1f}" if result["bytes"] else "-"
    same = f"{result['same_emotion']:.2%}" if "same_emotion" in result else "-"
    return f"| {result['model']} | {result['engine']} | {result['file']} | {size} | {same} |"


def _latency_row(result: dict[str, Any], row: dict[str, Any]) -> str:
    times = " | ".join(f"{row[name]:.2f}" for name in ("p50_ms", "p90_ms", "p99_ms"))
    roof = "-" if row["roof_share"] is None else f"{row['roof_share']:.0%}"
    joules = row.get("joules_per_face")
    energy = "-" if joules is None else f"{1e3 * joules:.1f}"
    stable = "yes" if row["stable"] else f"not stable in {row['num_windows']} windows"
    return (
        f"| {result['model']} | {result['engine']} | {row['batch']} | {_times(row['speedup'])} "
        f"| {_times(row['cpu_speedup'])} | {times} | {row['faces_per_s']:,.0f} | {roof} | {energy} | {stable} |"
    )


def _times(bounds: list[float] | None) -> str:
    if bounds is None:
        return "-"
    value, low, high = bounds
    return f"{value:.2f}x [{low:.2f}, {high:.2f}]"


def write_chart(results: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw the speedups as bars, one panel per model and batch (the two smallest batches)."""
    ran = [result for result in results if result.get("latency")]
    models = list(dict.fromkeys(result["model"] for result in ran))
    batches = sorted({row["batch"] for result in ran for row in result["latency"]})[:2]
    heights = [1 + 0.4 * sum(result["model"] == model for result in ran) for model in models]
    figure = Figure(figsize=(5 * len(batches), 0.4 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(models), len(batches), squeeze=False, height_ratios=heights)
    for model, row_of_panels in zip(models, panels, strict=True):
        rows = [result for result in ran if result["model"] == model]
        for batch, panel in zip(batches, row_of_panels, strict=True):
            values = [next(x["speedup"][0] for x in r["latency"] if x["batch"] == batch) for r in rows]
            colors = [PLAIN_COLOR if r["engine"] == EAGER else GOOD_COLOR for r in rows]
            panel.axvline(1.0, color=INK, linewidth=0.8, linestyle=":", zorder=0)
            draw_bars(panel, [r["engine"] for r in rows], values, [f"{value:.2f}x" for value in values], colors)
            panel.set(title=f"{model}, batch {batch}", xlabel=f"times as fast as {EAGER} FP32")
    figure.suptitle(title, fontsize="small")
    figure.savefig(path, dpi=120)
