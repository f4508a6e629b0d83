"""fer-deploy analyze: settings and printing around `VideoBatch`."""

import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import cv2
from rich.console import Console

from fer_deploy import signals
from fer_deploy.analyze.batch import VideoBatch, folders_of
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.events.event_list import read_events
from fer_deploy.analyze.events.exclusions import read_exclusions
from fer_deploy.analyze.events.exports import NO_EXPORTS, Exports
from fer_deploy.analyze.events.participants import read_participants
from fer_deploy.analyze.jobs.choice import num_jobs
from fer_deploy.analyze.models import models_with
from fer_deploy.analyze.people.people_file import PeopleFile
from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.analyze.report.summary import Outcome, Summary
from fer_deploy.analyze.video_analysis import load_results
from fer_deploy.cli.options import ANALYSIS_KEYS, engine_line, flags_by_key, settings_from_flags
from fer_deploy.cli.terminal.analyze_progress import ProgressDisplay
from fer_deploy.detectors import detector_line
from fer_deploy.errors import ConfigError


def analyze(
    videos: tuple[Path, ...],
    config_path: Path | None,
    restart: bool,
    people: Path | None,
    events: Path | None,
    participants: Path | None,
    exclude: Path | None,
    intervals: bool,
    protocol: bool,
    **flags: Any,
) -> None:
    """Analyze recorded videos; see `fer_deploy.cli.flags.analyze` for the flags."""
    exports = Exports(
        None if events is None else read_events(events),
        None if participants is None else read_participants(participants),
        intervals,
        protocol,
        None if exclude is None else read_exclusions(exclude),
    )
    config = settings_from_flags(AnalyzeConfig, config_path, flags, ANALYSIS_KEYS)
    if people is not None:
        _rewrite(videos, config.out, people, exports, restart=restart)
        if not exports.names:
            return
    # Our own errors name the cause; OpenCV's warnings would bury them.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    load_results()  # what is not installed is to show before hours of work
    console = Console(stderr=True, markup=False)  # files may have brackets in their names
    with config.open() as engine:
        console.print(engine_line(engine, config), highlight=False, soft_wrap=True)
        models = models_with(engine, config)
        console.print(detector_line(config.detection), highlight=False, soft_wrap=True)
        jobs, why = num_jobs(config, engine)
        if why:
            console.print(why, highlight=False, soft_wrap=True)
        with signals.held(), ProgressDisplay(console) as display:
            names = flags_by_key(ANALYSIS_KEYS)
            batch = VideoBatch(videos, config, models, display, names=names, num_jobs=jobs, exports=exports)
            signals.on_stop(batch.stop)
            outcomes = batch.run(lambda outcome: _report(outcome, console, exports, of=len(videos)), restart=restart)
    if len(outcomes) < len(videos):
        _say_how_to_go_on(len(outcomes), len(videos), batch.num_frames_kept)
        sys.exit(128 + signals.came()[0])
    _raise_failures(outcomes, batch.index)
    if batch.index is not None:
        click.echo(f"all: {batch.index}")


def _rewrite(videos: Sequence[Path], out: Path, people: Path, exports: Exports, *, restart: bool) -> None:
    """Name the people of finished analyses."""
    if restart:
        raise ConfigError("--restart deletes the results that --people is about. Fix: one of them")
    file = PeopleFile.load(people)
    load_results()
    rewriting = import_module("fer_deploy.analyze.people.rewriting")  # by name: it needs the packages of the extra
    console = Console(stderr=True, markup=False)
    for video, folder in folders_of(videos, out).items():
        summary = rewriting.rewrite_people(video, folder, file)
        if not exports.names:  # else it is told with them
            _report(Outcome(video, folder, summary), console, NO_EXPORTS, of=len(videos))
            _tell_outdated(folder, summary, NO_EXPORTS, console)


def _report(outcome: Outcome, console: Console, exports: Exports, *, of: int) -> None:
    """Print the outcome of a video, one `of` several. The failure of an only video is raised later."""
    if outcome.summary is None:
        if of > 1:
            console.print(f"{outcome.video}: failed: {outcome.failure}", highlight=False, soft_wrap=True)
        return
    summary, counts = outcome.summary, outcome.summary.accounting
    for note in summary.notes:
        console.print(f"{outcome.video.name} {note}", highlight=False, soft_wrap=True)
    if summary.trouble:
        console.print(f"{outcome.video}: {summary.trouble}", highlight=False, soft_wrap=True)
    words = [
        count_text(counts.num_analyzed, "frame"),
        count_text(counts.num_faces, "face"),
        count_text(len(summary.people), "person", "people"),
    ]
    if summary.passers_by.num_tracks:
        words.append(count_text(summary.passers_by.num_tracks, "passer-by", "passers-by"))
    if counts.num_skipped:
        words.append(f"{count_text(counts.num_skipped, 'corrupt frame')} skipped")
    click.echo(f"{outcome.video.name}: {', '.join(words)}: {outcome.folder / 'report.html'}")
    if exports.names:
        for note in summary.event_notes:
            console.print(f"{outcome.video.name}: {note}", highlight=False, soft_wrap=True)
        num = len(exports.excluded(outcome.video))
        without = f" without {count_text(num, 'excluded range')}" if exports.exclusions else ""
        click.echo(f"{outcome.video.name}: {', '.join(exports.names)}{without}: {outcome.folder}")
        _tell_outdated(outcome.folder, summary, exports, console)


def _tell_outdated(folder: Path, summary: Summary, exports: Exports, console: Console) -> None:
    """Print which older exports do not fit what was computed now."""
    if outdated := exports.outdated(folder, summary):
        names = ", ".join(name for found in outdated.values() for name in found)
        console.print(
            f"{folder} has files from an earlier call, with other people, events or excluded ranges: {names}. "
            f"To write them again: add {', '.join(outdated)} to this command",
            highlight=False,
            soft_wrap=True,
        )


def _raise_failures(outcomes: Sequence[Outcome], index: Path | None) -> None:
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    if not failed:
        return
    first = failed[0].failure
    assert first is not None
    if len(outcomes) == 1:
        raise first
    names = ", ".join(str(outcome.video) for outcome in failed)
    where = "above" if index is None else f"above and {index}"
    raise type(first)(
        f"{len(failed)} of {len(outcomes)} videos could not be analyzed: {names}. Fix: see {where} for the reasons, "
        "then give the same command again"
    )


def _say_how_to_go_on(num_done: int, num_videos: int, num_frames_kept: int) -> None:
    done = f"{num_done} of {num_videos} videos are done, of the next " if num_videos > 1 else ""
    again = [argument for argument in sys.argv[1:] if argument != "--restart"]  # it would throw away what is kept
    command_line = shlex.join(["fer-deploy", *again])
    click.echo(f"stopped: {done}{num_frames_kept:,} frames are kept. To go on: {command_line}", err=True)
