"""Write the report of agreement.py: tables in Markdown, and what --compare compares. Measures nothing."""

from typing import Any

from harness.comparing import Measure
from harness.measuring import markdown_table

Row = dict[str, Any]


def as_markdown(result: Row) -> str:
    """Return the report as Markdown."""
    env, coders = result["environment"], result["coders"]
    named = ", ".join(f"{num} {label}" for label, num in coders["by_label"].items())
    lines = [
        f"# Agreement with codes of faces in video, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}.",
        "",
        f"    {env['command']}",
        "",
        f"{coders['faces']} faces of eight people in five videos. Both coders were sure of {coders['both_sure']} of "
        f"them and gave {coders['same']} the same label ({named}): Cohen's kappa {coders['kappa']:.2f} between them. "
        "Intervals: 95 %, bootstrap by person.",
        "",
        *markdown_table([_video_cells(row) for row in result["videos"]], digits=2),
        "",
        "Small, dark and soft faces, each picture for itself, compared where both coders agree:",
        "",
        *markdown_table([_condition_cells(row) for row in result["conditions"]], digits=3),
        "",
    ]
    return "\n".join(lines)


def _video_cells(row: Row) -> Row:
    cells: Row = {"model": row["model"], "codes": row["codes"], "faces": row["num_moments"]}
    for kind in ("raw", "shown"):
        for measure in ("accuracy", "kappa"):
            cells[f"{kind} {measure}"] = _text(row[kind][measure])
    recalls = ", ".join(f"{label} {value:.0%}" for label, value in row["raw"]["recall"].items())
    return cells | {"raw recall": recalls, "unsure": row["num_unsure"], "unreadable": row["num_unreadable"]}


def _condition_cells(row: Row) -> Row:
    readable = row["accuracy_readable"]
    return {
        "model": row["model"],
        "condition": row["condition"],
        "faces found": f"{row['found']:.0%}",
        "accuracy": _text(row["accuracy"]),
        "kappa": _text(row["kappa"]),
        "readable": f"{row['readable']:.0%}",
        "accuracy of the readable": "-" if readable is None else f"{readable:.2f}",
    }


def _text(estimate: Row) -> str:
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"


def measures_of(result: Row) -> list[Measure]:
    """Return what --compare compares: accuracy and kappa, which no machine's speed changes."""
    videos = [
        (f"{row['model']}, {row['codes']}, {kind} {measure}", row[kind][measure])
        for row in result["videos"]
        for kind in ("raw", "shown")
        for measure in ("accuracy", "kappa")
    ]
    conditions = [
        (f"{row['model']}, {row['condition']}: {measure}", row[measure])
        for row in result["conditions"]
        for measure in ("accuracy", "kappa")
    ]
    return [
        Measure(name, found["value"], found["low"], found["high"], "higher", is_ratio=True)
        for name, found in (*videos, *conditions)
        if found["value"] is not None
    ]
