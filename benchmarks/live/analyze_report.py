"""Write the report of analyze.py: resident memory for each tenth of the frames, and while the parts are joined."""

import statistics
from collections.abc import Sequence
from typing import Any

from harness.comparing import Measure

SampleRow = Sequence[Any]
"""A sample: seconds, resident memory in MB, frames in the last checkpoint or None."""


def phases(samples: Sequence[SampleRow], num_frames: int) -> list[dict[str, Any]]:
    """Return median and maximum of the memory for the start, each tenth of the frames, and the joining.

    A phase between two samples has no row.
    """
    held: dict[str, list[SampleRow]] = {}
    for sample in samples:
        held.setdefault(_phase(sample[2], num_frames), []).append(sample)
    return [
        {
            "phase": name,
            "until_s": rows[-1][0],
            "rss_mb": statistics.median(row[1] for row in rows),
            "rss_mb_max": max(row[1] for row in rows),
        }
        for name, rows in held.items()
    ]


def _phase(num_done: int | None, num_frames: int) -> str:
    if num_done is None:
        return "joining parts, report"
    if num_done == 0:
        return "start, first segment"
    return f"tenth {min(10, 1 + 10 * num_done // num_frames)}"


def as_markdown(result: dict[str, Any], env: dict[str, str]) -> str:
    """Return the report as Markdown."""
    summary, counts = result["summary"], result["summary"]["accounting"]
    rows = phases(result["samples"], counts["num_analyzed"])
    width, height = summary["picture_size"]
    minutes, video_minutes = result["seconds"] / 60, summary["duration_s"] / 60
    lines = [
        f"# Memory of fer-deploy analyze, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}.",
        "",
        f"    {env['command']}",
        "",
        f"{' and '.join(result['clips'])}, repeated: {counts['num_analyzed']:,} frames, "
        f"{width}x{height}, {video_minutes:.1f} minutes of H.264. Analyzed in {minutes:.1f} minutes with "
        f"{summary['engine']}; detector {summary['detector']}; options {' '.join(result['options'])}.",
        "",
        f"{counts['num_announced']:,} frames announced, {counts['num_decoded']:,} decoded, {counts['num_skipped']:,} "
        f"skipped, {counts['num_missing']:,} missing, {counts['num_analyzed']:,} analyzed, {counts['num_faces']:,} "
        "faces.",
        "",
        "| phase | until, s | resident memory, MB | max |",
        "|---|---|---|---|",
    ]
    lines += [f"| {r['phase']} | {r['until_s']:.0f} | {r['rss_mb']:.1f} | {r['rss_mb_max']:.1f} |" for r in rows]
    return "\n".join([*lines, "", *_growth(rows), "Sampled once a second in the process that analyzes.", ""])


def measures_of(result: dict[str, Any]) -> list[Measure]:
    """Return what --compare compares: memory, and the speed; one run does not tell their noise."""
    num_frames = result["summary"]["accounting"]["num_analyzed"]
    memory = [
        Measure(f"{row['phase']}: resident memory in MB", row["rss_mb"])
        for row in phases(result["samples"], num_frames)
    ]
    return [*memory, Measure("frames/s", num_frames / result["seconds"], better="higher")]


def _growth(rows: Sequence[dict[str, Any]]) -> list[str]:
    analysis = [row for row in rows if row["phase"].startswith("tenth")]
    if len(analysis) < 2:
        return []
    first, last = (analysis[min(1, len(analysis) - 2)], analysis[-1])
    growth = last["rss_mb"] - first["rss_mb"]
    return [f"From {first['phase']} to {last['phase']}: {growth:+.1f} MB.", ""]
