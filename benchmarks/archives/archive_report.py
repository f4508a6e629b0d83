"""The report of archive_scaling.py as Markdown."""

from collections.abc import Mapping
from typing import Any

_PARTS = {"driver": "the one driver", "link": "the link to the videos", "store": "requests to the output"}


def as_markdown(result: Mapping[str, Any]) -> str:
    """Return the tables of ways and farms."""
    env, segments, overhead = result["environment"], result["segments"], result["overhead"]
    cores = result["host"]["num_cores"]
    lines = [
        "# One video in several ways, and a large archive",
        "",
        f"{env['hardware']}, {env['date']}. `{env['command']}`",
        "",
        f"{result['num_frames']:,} frames ({result['minutes']:g} minutes), {result['num_faces']:,} faces; the rows of "
        "all ways are equal. Seconds include the start of the command and of its workers, and of Ray with `--ray "
        "local`. All nodes of the cluster are on this machine. Kills: SIGKILL for the run with all its processes, "
        "or for a node; what was done is not done again. Of the cores: CPU time over what all cores have in these "
        "seconds, which is the share of the rate that the CPU time allows.",
        "",
        "| way | kills | seconds | frames/s | of the cores | CPU ms a frame | CPU against the first |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row, cores) for row in result["ways"]]
    farms = result["model"]["farms"]
    lines += [
        "",
        f"Scheduling takes {overhead['schedule_cpu_s'] * 1000:.2f} ms of the driver's CPU time a segment, and "
        f"{overhead['beat_cpu_s'] * 1000:.2f} ms a question to a worker; an empty segment is back after "
        f"{overhead['round_trip_s'] * 1000:.1f} ms. A segment of {segments['frames']:,} frames takes "
        f"{segments['mean_cpu_s']:.1f} s of CPU and {segments['mean_bytes'] / 1e3:.0f} kB in the output. At the start "
        f"of a run, a segment takes {overhead['plan_s'] * 1e6:.0f} µs, a finished one {overhead['look_s'] * 1e3:.2f} "
        "ms more on this disk.",
        "",
        f"## {result['model']['hours']:,} hours, simulated",
        "",
        f"{farms[0]['num_segments']:,} segments as measured; a link of {result['model']['link_bytes_s'] * 8 / 1e9:g} "
        f"Gbit/s to the videos ({result['video']['bytes_s'] * 8 / 1e6:.2f} Mbit/s each, one hour long, copied once for "
        f"64 segments); {result['model']['requests_s']:,} requests a second to the output.",
        "",
        "| cores | hours | workers busy | driver busy | link busy | output busy |",
        "|---|---|---|---|---|---|",
    ]
    for farm in farms:
        shares = " | ".join(f"{farm[part]:.1%}" for part in ("workers", "driver", "link", "store"))
        lines.append(f"| {farm['cores']:,} | {farm['hours']:,.1f} | {shares} |")
    first = sorted(farms[-1]["full_at_cores"].items(), key=lambda part: part[1])
    words = [f"{_PARTS[name]} at {cores:,.0f} cores" for name, cores in first]
    return "\n".join([*lines, "", f"Saturated: {'; '.join(words)}.", ""])


def _line(row: Mapping[str, Any], cores: int) -> str:
    of_cores = row["frames_s"] * row["cpu_ms_per_frame"] / 1e3 / cores
    return (
        f"| {row['way']} | {row.get('num_kills', 0) or '–'} | {row['seconds']:.1f} | {row['frames_s']:.0f} | "
        f"{of_cores:.2f} | {row['cpu_ms_per_frame']:.1f} | {row['cpu_against_first']:.2f} |"
    )
