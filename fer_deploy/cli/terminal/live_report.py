"""Text that `fer-deploy live` prints while it runs and at its end."""

from dataclasses import asdict
from functools import partial
from importlib import import_module
from typing import Any

import click

from fer_deploy.cli.terminal.people_report import people_lines
from fer_deploy.durations import duration_text
from fer_deploy.live.stats import TOTAL, LiveSnapshot
from fer_deploy.vision.tracking.presence import Presence

_FILE_WORDS = {"jsonl": "results"}
_SETTINGS = {"video": "record", "events": "events_out"}
"""Settings by the name of their sink, where that is another."""


def progress_line(snapshot: LiveSnapshot) -> str:
    """Return one line about the run: frames, faces, speed and failures."""
    parts = [f"{snapshot.num_frames} frames", f"{snapshot.num_faces} faces", f"{snapshot.throughput_fps:.1f} frames/s"]
    if snapshot.num_dropped:
        parts.append(f"{snapshot.num_dropped} dropped")
    parts += [
        f"{source.name}: {source.health.state} ({source.health.last_error or 'first time'})"
        for source in snapshot.sources
        if source.health.state not in ("running", "ended")
    ]
    parts += [f"{sink.name} failed" for sink in snapshot.sinks if sink.failure]
    return ", ".join(parts)


def report_dict(snapshot: LiveSnapshot, throughput_fps: float, presence: Presence) -> dict[str, Any]:
    """Return the run as plain values for JSON.

    A sink's `files` are the finished ones. Those that the user named are also at the top level, under the name of
    their setting; with several sources, videos are a list.
    """
    latencies = {
        row.stage: {"p50": row.p50_ms, "p90": row.p90_ms, "p95": row.p95_ms, "p99": row.p99_ms, "busy": row.busy}
        for row in snapshot.latencies
    }
    sources = [
        {"name": s.name, "is_live": s.is_live, "num_dropped": s.num_dropped, **asdict(s.health)}
        for s in snapshot.sources
    ]
    return {
        **snapshot.made_with,
        "num_frames": snapshot.num_frames,
        "num_faces": snapshot.num_faces,
        "num_dropped": snapshot.num_dropped,
        "seconds": snapshot.seconds,
        "throughput_fps": round(throughput_fps, 2),
        "latency_ms": latencies,
        "sources": sources,
        "sinks": [asdict(sink) for sink in snapshot.sinks],
        "people": [person.to_dict() for person in presence.people()],
        "num_passers_by": presence.passers_by(),
        **_named_files(snapshot),
    }


def _named_files(snapshot: LiveSnapshot) -> dict[str, str | list[str]]:
    first: dict[str, list[str]] = {}
    for sink in snapshot.sinks:
        if sink.files and sink.num_written:
            first.setdefault(_SETTINGS.get(sink.name, sink.name), []).append(sink.files[0])
    has_several = len(snapshot.sources) > 1
    return {name: files if name == "record" and has_several else files[0] for name, files in first.items()}


def print_report(
    snapshot: LiveSnapshot, throughput_fps: float, presence: Presence, *, beside_results: bool, verbose: bool = False
) -> None:
    """Print the people with their visible time and emotions, then the speed, losses and written files.

    Args:
        snapshot: of the run's end.
        throughput_fps: over the whole run.
        presence: who was seen.
        beside_results: print to standard error, because results go to standard output.
        verbose: print the latencies of all stages, too.
    """
    say = partial(click.echo, err=beside_results)
    if snapshot.num_frames:
        if verbose:
            table = import_module("fer_deploy.cli.terminal.latency_table")
            table.print_latencies(snapshot, to_stderr=beside_results)
        for line in people_lines(presence, [source.name for source in snapshot.sources]):
            say(line)
        say(_speed_line(snapshot, throughput_fps))
    for source in snapshot.sources:
        troubles = {name: value for name, value in asdict(source.health).items() if name.startswith("num_") and value}
        troubles.pop("num_captured", None)
        if not verbose:
            troubles.pop("num_unused", None)  # beyond --max-frames, or after the end was asked for
        if troubles or len(snapshot.sources) > 1:
            words = [f"{value} {name.removeprefix('num_').replace('_', ' ')}" for name, value in troubles.items()]
            say(f"{source.name}: {', '.join([f'{source.health.num_captured} captured', *words])}")
        if source.health.last_error and not source.is_live:
            say(source.health.last_error)
    for sink in snapshot.sinks:
        if sink.num_dropped or sink.failure:
            failure = f"; {sink.failure}" if sink.failure else ""
            say(f"{sink.name}: {sink.num_written} written, {sink.num_dropped} dropped{failure}")
    for sink in snapshot.sinks:
        if sink.files and sink.num_written:
            say(f"{_FILE_WORDS.get(sink.name, sink.name)}: {', '.join(sink.files)}")


def _speed_line(snapshot: LiveSnapshot, throughput_fps: float) -> str:
    # Frames of a recording wait in a queue that is kept full, so their latency says nothing about the speed.
    is_live = any(source.is_live for source in snapshot.sources)
    total = next((row for row in snapshot.latencies if row.stage == TOTAL), None) if is_live else None
    latency = "" if total is None else f", latency {total.p50_ms:.1f} ms (median)"
    dropped = f", {snapshot.num_dropped:,} frames dropped" if snapshot.num_dropped else ""
    return (
        f"speed: {throughput_fps:.1f} frames/s, {snapshot.num_frames:,} frames with {snapshot.num_faces:,} faces in "
        f"{duration_text(snapshot.seconds)}{latency}{dropped}"
    )
