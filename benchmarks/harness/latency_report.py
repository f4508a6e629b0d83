"""The report of latency.py: a table in Markdown and a chart of the speedups. Measures nothing."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fer_deploy.vision.palette import GOOD_COLOR


def as_markdown(results: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the report: files and accuracy first, then latency by batch."""
    judged = f"PublicTest, {env['faces']} faces" if env["faces"] != "0" else "not measured: no --data"
    lines = [
        f"# Latency, {env['hardware']}", "",
        f"{env['date']}, Python {env['python']}, ONNX Runtime {env['onnxruntime']}, device {env['device']}, "
        f"{env['threads']} threads for every engine, {env['rounds']} rounds, engines in turn; "
        f"load of the machine before the run {env['load']}.", "", f"    {env['command']}", "",
        f"Accuracy: {judged}. Change: against PyTorch eager FP32. Latency: from uint8 faces in the host's memory to "
        "logits in the host's memory. Speedup: median over the rounds of eager / engine; in CPU time: of what the "
        "process's threads computed, which other work on the machine hardly touches.", "",
        "| model | engine | file | size, MB | accuracy | change | same emotion |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [_file_row(result) for result in results]
    lines += [
        "", "| model | engine | batch | speedup | speedup in CPU time | p50, ms | p90, ms | p99, ms | faces/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [_latency_row(result, row) for result in results for row in result.get("latency", [])]
    failed = [f"- {r['model']}, {r['engine']}: {r['failure']}" for r in results if "failure" in r]
    if failed:
        lines += ["", "Not run:", "", *failed]
    if "cuda" not in env["device"]:
        lines += [
            "",
            "On a CPU that other work shares, only ratios within the run mean something, first those in CPU time.",
        ]
    return "\n".join([*lines, ""])


def _file_row(result: dict[str, Any]) -> str:
    size = f"{result['bytes'] / 1e6:.1f}" if result["bytes"] else "-"
    accuracy, change = (
        (f"{result['accuracy']:.2%}", f"{100 * result['change']:+.2f} points") if "accuracy" in result else ("-", "-")
    )
    same = f"{result['same_emotion']:.2%}" if "same_emotion" in result else "-"
    return f"| {result['model']} | {result['engine']} | {result['file']} | {size} | {accuracy} | {change} | {same} |"


def _latency_row(result: dict[str, Any], row: dict[str, Any]) -> str:
    times = " | ".join(f"{row[name]:.2f}" for name in ("p50_ms", "p90_ms", "p99_ms"))
    return (
        f"| {result['model']} | {result['engine']} | {row['batch']} | {row['speedup']:.2f}x "
        f"| {row['cpu_speedup']:.2f}x | {times} "
        f"| {row['faces_per_s']:,.0f} |"
    )


def write_chart(results: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw the speedups as bars, a panel for each model and batch (the smallest two batches)."""
    ran = [result for result in results if result.get("latency")]
    models = list(dict.fromkeys(result["model"] for result in ran))
    batches = sorted({row["batch"] for result in ran for row in result["latency"]})[:2]
    engines = max(sum(r["model"] == m for r in ran) for m in models)
    figure = Figure(figsize=(5 * len(batches), len(models) * (1 + 0.4 * engines)), layout="constrained")
    panels = figure.subplots(len(models), len(batches), squeeze=False)
    for model, row_of_panels in zip(models, panels, strict=True):
        rows = [result for result in ran if result["model"] == model]
        for batch, panel in zip(batches, row_of_panels, strict=True):
            values = [next(x["speedup"] for x in r["latency"] if x["batch"] == batch) for r in rows]
            bars = panel.barh([r["engine"] for r in rows], values, color=GOOD_COLOR)
            panel.bar_label(bars, [f" {value:.2f}x" for value in values])
            panel.axvline(1.0, color="black", linewidth=0.8)
            panel.set(title=f"{model}, batch {batch}", xlabel="times as fast as PyTorch eager FP32")
            panel.invert_yaxis()
            panel.margins(x=0.15)
    figure.suptitle(title, fontsize="small")
    figure.savefig(path, dpi=120)
