"""Write the report of cameras.py: a table in Markdown. Measures nothing."""

from collections.abc import Sequence
from typing import Any


def as_markdown(rows: list[dict[str, Any]], env: dict[str, str], machine: Sequence[str] = ()) -> str:
    """Return the report as Markdown: a row for each clip and rate; `machine` are lines about the machine."""
    lines = [
        f"# Cameras that one process serves, {env['hardware']}, {env['cores']} cores",
        "",
        f"{env['date']}, Python {env['python']}, YuNet: {env['yunet']}.",
        "",
        f"    {env['command']}",
        "",
        f"Cameras: the highest number at which every frame has a result and p99 is at most {env['limit_ms']} ms, from "
        "the frame's arrival to its result. Frames arrive by the clock, whether or not the program is ready. Latency "
        "is that of the worst try at this number. k: the largest interval of detection. Limit: the smallest number "
        "that failed, and its busiest stage. Overload: twice as many cameras; fair share: results of the camera that "
        "got the fewest over those of the one that got the most.",
        "",
        "| clip | model | frames/s of a camera | cameras | p50, ms | p99, ms | k | of the cores | limit "
        "| overload: served | fair share |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    lines += [
        "",
        *machine,
        "",
        "Other work on the machine lowers the number. Compare runs of an idle machine only.",
        "",
    ]
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> list[str]:
    found, overload = row["at_limit"], row["overload"]
    number = f"{row['cameras']}" if row["is_bounded"] else f"at least {row['cameras']}"
    middle = ["", "", "", ""]
    if found is not None:
        middle = [f"{found['p50_ms']:.1f}", f"{found['p99_ms']:.1f}", f"{found['k_max']}", f"{found['of_cores']:.2f}"]
    served = 1 - overload["dropped"] / overload["due"]
    return [
        row["clip"],
        row["model"],
        f"{row['fps']:g}",
        number,
        *middle,
        _limit(row["limit"]),
        f"{served:.0%} of {overload['cameras']} cameras",
        f"{overload['fair_share']:.2f}",
    ]


def _limit(limit: dict[str, Any] | None) -> str:
    if limit is None:
        return "not reached"
    return f"{limit['cameras']}: {limit['why']}; busiest: {limit['stage']}; {limit['of_cores']:.2f} of the cores"
