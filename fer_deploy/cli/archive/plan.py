"""fer-deploy archive plan: settings and printing around `planned_rows`."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_deploy import signals
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.models import models_with, opened_models
from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.estimate import Estimate, estimate, pilot_of, samples_of
from fer_deploy.archive.manifest import About, Manifest, VideoRow
from fer_deploy.archive.planned_models import as_planned, check_models, naming_the_yunet
from fer_deploy.archive.planning.growing import grown
from fer_deploy.archive.planning.inputs import found_videos
from fer_deploy.archive.planning.rows import planned_rows
from fer_deploy.archive.run import ArchiveRun
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import all_work
from fer_deploy.cli.archive import money_text, number_text
from fer_deploy.cli.options import ANALYSIS_KEYS, engine_line, flags_by_key, settings_from_flags
from fer_deploy.cli.terminal.archive_progress import ArchiveProgress
from fer_deploy.detectors import detector_line
from fer_deploy.durations import duration_text
from fer_deploy.errors import ConfigError, StreamError, argument
from fer_deploy.live.file_names import printable
from fer_deploy.privacy.redaction import without_passwords


def plan(
    inputs: tuple[str, ...],
    out: str,
    config_path: Path | None,
    jobs: int,
    scratch: str | None,
    pilot: int,
    price_per_core_hour: float,
    **flags: Any,
) -> None:
    """Plan an archive; see `fer_deploy.cli.flags.archive.plan` for the flags."""
    config = settings_from_flags(AnalyzeConfig, config_path, {"out": Path(), **flags}, ANALYSIS_KEYS)
    if config.pipeline.detect_every not in (1, "auto"):
        raise ConfigError(
            f"detect_every is {config.pipeline.detect_every}: faces between two runs of the detector depend on frames "
            f"of other segments. Fix: {argument('detect_every', '1')}"
        )
    if config.start is not None or config.end is not None:
        raise ConfigError(
            "start and end are of one analysis; an archive has whole videos. Fix: leave them out of --config, or "
            "fer-deploy analyze"
        )
    store = Store(out)
    if store.is_of_this_process:
        raise ConfigError(
            f"{store} is gone when this command ends. Fix: --out FOLDER, or an address as s3://bucket/out"
        )
    console, found = Console(stderr=True, markup=False), found_videos(inputs)
    earlier = Manifest.find(store)
    here = config if earlier is None else as_planned(config, earlier.about)
    of_plan = nullcontext() if earlier is None else naming_the_yunet(earlier.about)
    with of_plan, here.open() as engine:
        console.print(engine_line(engine, here), highlight=False, soft_wrap=True)
        console.print(detector_line(here.detection), highlight=False, soft_wrap=True)
        about = About.of(config, models_with(engine, here), price_per_core_hour)
    names = flags_by_key(ANALYSIS_KEYS)
    if earlier is not None:
        check_models(earlier.about, about.fingerprint, names)  # before hours of work
    where = None if scratch is None else Path(scratch)
    new = planned_rows(found, about, store, jobs=jobs, scratch=where, on_row=lambda row: _tell(row, console))
    if not any(row.segments for row in new):
        of_one = f": {without_passwords(new[0].reason)}" if len(new) == 1 else ""
        raise StreamError(f"none of these files is a video{of_one}. Fix: see the reasons above, and name others")
    manifest = grown(store, about, new, names)
    works = all_work(manifest, plans(manifest, store))
    usable = [row for row in manifest.rows.values() if row.segments]
    num_frames, duration_s = sum(row.num_frames for row in usable), sum(row.duration_s for row in usable)
    click.echo(
        f"{store}: {count_text(len(usable), 'video')} with {count_text(num_frames, 'frame')} "
        f"({duration_text(duration_s, decimals=0)}) in {count_text(len(works), 'segment')}, "
        f"{count_text(len(manifest.rows) - len(usable), 'other file')}"
    )
    chosen = pilot_of(works, pilot)
    if chosen:
        with signals.held(), ArchiveProgress(console, "pilot") as progress:
            recipe = partial(opened_models, here)
            run = ArchiveRun(store, manifest, recipe, progress, num_jobs=min(jobs, len(chosen)), scratch=where)
            signals.on_stop(run.stop)
            run.run(only=chosen)
        if (expected := estimate(samples_of(store, chosen), num_frames)) is not None:
            echo_estimate(expected, price_per_core_hour)
    click.echo(f"to analyze them: fer-deploy archive run {store.argument}")


def _tell(row: VideoRow, console: Console) -> None:
    if row.reason:
        console.print(f"{row.shown}: {printable(without_passwords(row.reason))}", highlight=False, soft_wrap=True)
    elif row.why_not:
        console.print(f"{row.shown} is one segment: {row.why_not}", highlight=False, soft_wrap=True)


def echo_estimate(of: Estimate, price: float) -> None:
    """Print the estimate; its interval is two standard errors wide on each side. One segment gives no interval."""
    has_error = of.num_samples > 1
    margin = 2 * of.core_hours_error
    spread = f" (standard deviation between segments {of.spread_ms:.1f})" if has_error else ""
    click.echo(
        f"{count_text(of.num_samples, 'segment')}: {of.cpu_ms_per_frame:.1f} ms of CPU a frame{spread}, "
        f"{number_text(of.num_bytes / 1e6)} MB of observations in all"
    )
    words = f"in all {number_text(of.core_hours)} core-hours"
    if has_error:
        words += f", between {number_text(max(0.0, of.core_hours - margin))} and {number_text(of.core_hours + margin)}"
        words += " (two standard errors)"
    if price:
        words += f"; at {price:g} a core-hour {money_text(of.core_hours * price)}"
        words += f" ± {money_text(margin * price)}" if has_error else ""
    click.echo(words)
