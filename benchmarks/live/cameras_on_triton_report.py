"""Write the report of cameras_on_triton.py: tables in Markdown. Measures nothing."""

from collections.abc import Sequence
from typing import Any


def as_markdown(rows: list[dict[str, Any]], env: dict[str, str], machine: Sequence[str] = ()) -> str:
    """Return the report as Markdown; `machine` are lines about the machine."""
    lines = [
        f"# {env['cameras']} cameras that share a Triton server, {env['hardware']}, {env['cores']} cores",
        "",
        f"{env['date']}, Python {env['python']}, YuNet: {env['yunet']}, model: {env['model']}.",
        "",
        f"    {env['command']}",
        "",
        f"{env['boxes']} processes decode and detect, each for its share of the cameras. Server and boxes share the "
        f"{env['cores']} cores of one machine, so this shows that it works and how faces are gathered, not how fast a "
        "server of its own is. Latency is that of the slower box, from a frame's arrival to its result. Without a "
        "result: frames that were dropped, also while the server was away. Longest gap: time without any result in "
        "one box. Cameras at the end: those with a result in the last second.",
        "",
        "| clip | frames/s of a camera | | frames | without a result | p50, ms | p99, ms | longest gap, s "
        "| server away, s | cameras at the end |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    lines += [
        "",
        "What the server counted; after a death, since its second start:",
        "",
        "| clip | frames/s of a camera | | requests | faces | batches | faces in a batch | largest batch "
        "| requests in a batch | queue, ms a request |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(_server_cells(row))} |" for row in rows if "server" in row]
    return "\n".join([*lines, "", *machine, ""])


def _cells(row: dict[str, Any]) -> list[str]:
    share = row["dropped"] / row["due"]
    return [
        row["clip"],
        f"{row['fps']:g}",
        row["kind"],
        f"{row['due']}",
        f"{row['dropped']} ({share:.1%})",
        _ms(row["p50_ms"]),
        _ms(row["p99_ms"]),
        f"{row['longest_gap_s']:.1f}",
        f"{row['away_s']:.1f}" if "away_s" in row else "",
        f"{row['cameras_at_end']}",
    ]


def _server_cells(row: dict[str, Any]) -> list[str]:
    told = row["server"]
    return [
        row["clip"],
        f"{row['fps']:g}",
        row["kind"],
        f"{told['requests']}",
        f"{told['faces']}",
        f"{told['batches']}",
        f"{told['faces'] / max(1, told['batches']):.2f}",
        f"{max(map(int, told['sizes']), default=0)}",
        f"{told['requests'] / max(1, told['batches']):.2f}",
        f"{1e3 * told['queue_s'] / max(1, told['requests']):.1f}",
    ]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
