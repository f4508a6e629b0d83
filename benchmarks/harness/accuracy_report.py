"""Write the report of accuracy.py: tables in Markdown and a chart. Measures nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fer_deploy.vision.palette import GOOD_COLOR

Row = Mapping[str, Any]
DIM_AND_SOFT = "dim and soft"
"""View: the answers to the faces when they are dim and soft. Results from before it was measured lack it."""
HAPPY = "happy"


def as_markdown(rows: Sequence[Row], env: Mapping[str, str]) -> str:
    """Return the report as Markdown: one line an artifact, label set and view, then dim faces, and recall by class."""
    lines = [
        f"# Accuracy, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, ONNX Runtime {env['onnxruntime']}, split {env['split']}.",
        "",
        f"    {env['command']}",
        "",
        "In brackets: the 95 % interval of the bootstrap. Accuracy is of all faces of the split; clean leaves out the "
        "faces whose pixels are also those of a training row. Change: accuracy of the artifact minus PyTorch's, in "
        "points, on the same faces, so its interval is far narrower. NLL: in nats, after the model's temperature.",
        "",
        "| model | artifact | labels | view | faces | accuracy, % | clean, % | macro-F1 | NLL | ECE | change, points "
        "| same emotion |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ran = [row for row in rows if "skipped" not in row]
    lines += [_line(row) for row in ran if row["view"] != DIM_AND_SOFT]
    lines += _dim_and_soft([row for row in ran if row["view"] == DIM_AND_SOFT], env)
    for (model, labels), some in _groups(ran).items():
        classes = list(some[0]["recall"])
        lines += ["", f"## Recall by class, %: {model}, {labels} labels, plain", ""]
        lines += [f"| artifact | {' | '.join(classes)} |", f"|---|{'---|' * len(classes)}"]
        lines += [f"| {row['artifact']} | {' | '.join(_percent(v) for v in row['recall'].values())} |" for row in some]
        lines += [f"| *faces* | {' | '.join(str(n) for n in some[0]['support'].values())} |"]
    if skipped := [f"- {row['artifact']}: {row['skipped']}" for row in rows if "skipped" in row]:
        lines += ["", "Not run:", "", *skipped]
    return "\n".join([*lines, ""])


def _dim_and_soft(rows: Sequence[Row], env: Mapping[str, str]) -> list[str]:
    """Return the section of the dim and soft faces; without such rows, none."""
    if not rows:
        return []
    lines = [
        "",
        "## Dim and soft faces",
        "",
        f"The same faces, changed as a cheap camera shows them: {env['dim_and_soft']}. Sigma is in pixels of a face of "
        "48 pixels; contrast is the deviation of its gray levels. Same emotion: as PyTorch on these changed faces. "
        "Happy faces found: of the faces with the label happy, the share that the artifact calls happy.",
        "",
        "| model | artifact | labels | faces | accuracy, % | same emotion | happy faces found |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row["model"],
            row["artifact"],
            row["labels"],
            f"{row['num_faces']:,}",
            _accuracy(row),
            _same_emotion(row),
            f"{row['recall'][HAPPY]:.1%} of {row['support'][HAPPY]:,}" if row["support"].get(HAPPY) else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _groups(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of the plain view by model and label set."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["view"] == "plain":
            groups.setdefault((row["model"], row["labels"]), []).append(row)
    return groups


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _line(row: Row) -> str:
    clean = "-" if row["clean"] is None else _percent(row["clean"])
    cells = [
        row["model"],
        row["artifact"],
        row["labels"],
        row["view"],
        f"{row['num_faces']:,}",
        _accuracy(row),
        clean,
        f"{row['f1']:.3f}",
        f"{row['nll']:.3f}",
        f"{row['ece']:.3f}",
        _change(row),
        _same_emotion(row),
    ]
    return f"| {' | '.join(cells)} |"


def _accuracy(row: Row) -> str:
    low, high = row["accuracy_interval"]
    return f"{100 * row['accuracy']:.2f} [{100 * low:.1f}, {100 * high:.1f}]"


def _same_emotion(row: Row) -> str:
    return "-" if row["same_emotion"] is None else f"{row['same_emotion']:.2%}"


def _change(row: Row) -> str:
    if row["change"] is None:
        return "-"
    low, high = row["change_interval"]
    return f"{100 * row['change']:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"


def write_chart(rows: Sequence[Row], path: Path, title: str) -> None:
    """Draw the accuracy of every artifact with its interval, one panel for each model and label set."""
    groups = _groups([row for row in rows if "skipped" not in row])
    heights = [len(some) + 0.4 for some in groups.values()]
    figure = Figure(figsize=(7, 0.9 * len(groups) + 0.35 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, ((model, labels), some) in zip(panels, groups.items(), strict=True):
        for place, row in enumerate(some):
            low, high = (100 * bound for bound in row["accuracy_interval"])
            value = 100 * row["accuracy"]
            panel.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=GOOD_COLOR, capsize=3)
            panel.annotate(f"{value:.2f}", (value, place), (0, 5), textcoords="offset points", ha="center", fontsize=8)
        panel.set(title=f"{model}, {labels} labels", xlabel="accuracy, %, with its 95 % interval")
        panel.set_yticks(range(len(some)), [row["artifact"] for row in some])
        panel.margins(x=0.1)
        panel.set_ylim(len(some) - 0.5, -0.9)  # from top to bottom, with room for the number over the first
    figure.suptitle(title, fontsize="small")
    figure.savefig(path, dpi=120)
