"""Write the report of rivals.py in Markdown. Measures nothing."""

from collections.abc import Sequence
from typing import Any

from harness.measuring import markdown_table

Row = dict[str, Any]


def as_markdown(
    clips: list[dict[str, Any]], accuracy: list[Row], env: dict[str, str], machine: Sequence[str] = ()
) -> str:
    """Return the report: a table of speed for each clip, the accuracies, and what was skipped.

    Args:
        clips: name and rows of each.
        accuracy: rows.
        env: of the run.
        machine: lines about the machine.
    """
    lines = [
        f"# Beside other projects, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}.",
        "",
        f"    {env['command']}",
    ]
    if clips:
        lines += ["", *_how(env)]
    for clip in clips:
        ran = [_speed_row(row) for row in clip["rows"] if "skipped" not in row]
        lines += ["", f"## {clip['clip']}", "", *markdown_table(ran, digits=2), ""]
    lines += _skipped([row for clip in clips for row in clip["rows"]])
    if accuracy:
        measured = [row for row in accuracy if "skipped" not in row]
        lines += ["", f"## Accuracy on every face of {env['split']}", ""]
        if measured:
            lines += markdown_table([_accuracy_row(row) for row in measured], digits=2)
        lines += ["", *_skipped(accuracy)]
    return "\n".join([*lines, "", *machine, "", "On a shared CPU only ratios within the run are meaningful.", ""])


def _how(env: dict[str, str]) -> list[str]:
    return [
        f"{env['rounds']} rounds, alternating loops in separate processes, the same frames. YuNet: {env['yunet']}. "
        "Our live loop is this many times as fast: median over the rounds of the ratio in frames per second, with its "
        "95 % bootstrap interval; then the ratio in CPU time for a frame. A loop that finds fewer faces has less work: "
        "compare the faces a frame first. Latency is from the decoded frame to the drawn one.",
    ]


def _speed_row(row: Row) -> Row:
    low, high = row["ours_interval"]
    return {
        "loop": row["variant"],
        "ours is": f"{row['ours_over']:.1f}x ({low:.1f} to {high:.1f})",
        "in CPU time": f"{row['ours_over_cpu']:.1f}x",
        "faces a frame": row["faces"],
        "frames/s": f"{row['fps']:.0f}",
        "CPU, ms a frame": f"{row['cpu_ms_per_frame']:.1f}",
        "p50, p99, ms": f"{row['p50_ms']:.0f}, {row['p99_ms']:.0f}",
        "versions": row.get("versions", ""),
        "note": row.get("note", ""),
    }


def _accuracy_row(row: Row) -> Row:
    low, high = row["accuracy_interval"]
    return {
        "model": row["variant"],
        "labels": row["labels"],
        "faces": row["num_faces"],
        "accuracy": f"{row['accuracy']:.2%} ({low:.1%} to {high:.1%})",
        "macro-F1": f"{row['f1']:.3f}",
        "versions": row.get("versions", ""),
    }


def _skipped(rows: list[Row]) -> list[str]:
    reasons = {row["variant"]: row["skipped"] for row in rows if "skipped" in row}
    return [f"- {name}: not run: {reason}" for name, reason in reasons.items()]
