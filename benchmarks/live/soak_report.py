"""Write the report of soak.py: resources in each tenth of the run, and their growth from the second to the last."""

import statistics
from collections.abc import Sequence
from typing import Any

from harness.comparing import Measure

Sample = Sequence[float]
"""A sample: frames done, resident memory in MB, open file descriptors, threads."""
_COLUMNS = {"rss_mb": 1, "fds": 2, "threads": 3}


def tenths(samples: Sequence[Sample], num_frames: int) -> list[dict[str, float]]:
    """Return median and maximum of each column for each tenth of the frames; a tenth without samples has no row.

    File descriptors and threads change with each connection, so their medians are compared.
    """
    rows = []
    for number in range(10):
        held = [s for s in samples if min(9, 10 * s[0] // max(1, num_frames)) == number]
        if held:
            row: dict[str, float] = {"tenth": number + 1, "frames": held[-1][0]}
            for name, column in _COLUMNS.items():
                values = [sample[column] for sample in held]
                row |= {name: statistics.median_high(values), f"{name}_max": max(values)}
            rows.append(row)
    return rows


def growth(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the growth of the medians from the second tenth, after every buffer was filled once, to the last."""
    early = next((row for row in rows if row["tenth"] >= 2), rows[0])
    return {name: round(rows[-1][name] - early[name], 2) for name in _COLUMNS}


def as_markdown(result: dict[str, Any], env: dict[str, str]) -> str:
    """Return the report as Markdown; `result` is the JSON of soak.py, possibly without the detector's name."""
    snapshot = result["snapshot"]
    rows = tenths(result["samples"], snapshot["num_frames"])
    lines = [
        f"# Soak of the live loop, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}.",
        "",
        f"    {env['command']}",
        "",
        f"{snapshot['num_frames']:,} frames in {snapshot['seconds']:,.0f} s, {snapshot['num_faces']:,} faces, two "
        "sources, one of them a stream that fails repeatedly. "
        f"Detector: {result.get('detector', 'not noted')}. Outputs: {', '.join(s['name'] for s in snapshot['sinks'])}.",
        "",
        "| what | value |",
        "|---|---|",
        *_growth_rows(growth(rows)),
        *_fault_rows(snapshot),
        "",
        "| tenth | frames | memory, MB | max | files | max | threads | max |",
        "|---|---|---|---|---|---|---|---|",
        *map(_tenth_row, rows),
        "",
        "Memory is the resident memory of the loop's process; each median is followed by the maximum of its tenth.",
    ]
    return "\n".join([*lines, ""])


def measures_of(result: dict[str, Any]) -> list[Measure]:
    """Return what --compare compares: memory, and what grew; one run does not tell their noise."""
    rows = tenths(result["samples"], result["snapshot"]["num_frames"])
    words = {"rss_mb": "resident memory in MB", "fds": "open file descriptors", "threads": "threads"}
    last = [Measure(f"{words[name]}, last tenth", rows[-1][name]) for name in _COLUMNS]
    return last + [Measure(f"growth of {words[name]}", value) for name, value in growth(rows).items()]


def _growth_rows(found: dict[str, float]) -> list[str]:
    return [
        f"| growth of resident memory, from the second tenth to the last | {found['rss_mb']:+.2f} MB |",
        f"| of open file descriptors | {found['fds']:+.0f} |",
        f"| of threads | {found['threads']:+.0f} |",
    ]


def _fault_rows(snapshot: dict[str, Any]) -> list[str]:
    health = snapshot["sources"][1]["health"]
    slow = next(sink for sink in snapshot["sinks"] if sink["name"] == "slow")
    return [
        f"| the stream came back | {health['num_reconnects']} times |",
        f"| stalls | {health['num_stalls']} |",
        f"| frozen pictures | {health['num_frozen']} |",
        f"| corrupt frames skipped | {health['num_corrupt']} |",
        f"| changes of size | {health['num_size_changes']} |",
        f"| dropped for the slow output | {slow['num_dropped']:,} |",
    ]


def _tenth_row(row: dict[str, float]) -> str:
    cells = [f"{row['tenth']:.0f}", f"{row['frames']:,.0f}", f"{row['rss_mb']:.1f}", f"{row['rss_mb_max']:.1f}"]
    cells += [f"{row[name]:.0f}" for name in ("fds", "fds_max", "threads", "threads_max")]
    return f"| {' | '.join(cells)} |"
