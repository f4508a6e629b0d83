"""fer-deploy live: settings and printing around `LivePipeline`."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import cv2
from click.core import ParameterSource

from fer_deploy import signals
from fer_deploy.cli.options import ANALYSIS_KEYS, engine_line, in_groups, settings_from_flags
from fer_deploy.cli.terminal.live_report import print_report, report_dict
from fer_deploy.detectors import DetectorFactory, build_detectors, describe_detector, detector_line
from fer_deploy.engines import Engine
from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint
from fer_deploy.live.fingerprint.sources import digest_of_sources, fingerprint_of_run
from fer_deploy.live.outputs import open_sinks
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.service.reload import Reload
from fer_deploy.live.service.supervision import Supervision
from fer_deploy.live.sinks import Sink
from fer_deploy.live.sinks.whole_lines import STANDARD_OUTPUT
from fer_deploy.live.sources import PacedSource, Source, open_source
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.vision.tracking.baseline import doubt_about_file

_KEYS = ANALYSIS_KEYS | in_groups(
    {
        "stream": ("keep_trying",),
        "output": (
            *("record", "video_codec", "jsonl", "csv", "parquet", "mqtt", "serve", "serve_token", "display"),
            *("events_out", "event"),
        ),
    }
)
"""Keys of the flags in LiveConfig."""


def live(config_path: Path | None, as_json: bool, verbose: bool, **flags: Any) -> None:
    """Run the live loop; see `fer_deploy.cli.flags.live` for the flags."""
    config = _settings(config_path, flags)
    if as_json and config.output.jsonl == STANDARD_OUTPUT:
        raise ConfigError("--json and --jsonl - would both write to standard output. Fix: --jsonl FILE")
    silence_libraries()
    if config_path is None:
        run_live(config, as_json=as_json, verbose=verbose)
        return
    context = click.get_current_context()

    def load() -> LiveConfig:
        with context.scope(cleanup=False):  # of this thread
            return _settings(config_path, flags)

    reload = Reload(load, config, on_message=tell)
    with signals.reloaded_by(reload.request):
        run_live(config, as_json=as_json, verbose=verbose, reload=reload)


def silence_libraries() -> None:
    """Silence OpenCV, whose warnings hide our own errors."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def tell(text: str) -> None:
    """Print a line for people, beside the results."""
    click.echo(text, err=True)


def run_live(
    config: LiveConfig,
    *,
    as_json: bool = False,
    verbose: bool = False,
    more_sinks: Sequence[Sink] = (),
    reload: Reload | None = None,
) -> None:
    """Run the loop to its end and report.

    Args:
        config: of the run.
        as_json: print the report as JSON.
        verbose: print the latencies of all stages, too.
        more_sinks: beside those of the config.
        reload: reads the config again when it is asked to.
    """
    with config.open() as engine:
        tell(engine_line(engine, config))
        report = partial(_report, config=config, as_json=as_json, verbose=verbose)
        _run(config, engine, more_sinks, report=report, reload=reload)


def _run(
    config: LiveConfig,
    engine: Engine,
    more_sinks: Sequence[Sink],
    *,
    report: Callable[[LivePipeline], None],
    reload: Reload | None,
) -> None:
    """Open sources and outputs, run the loop and report. A signal while sources are opened raises `Stopped`."""
    detectors = build_detectors(config.detection)
    tell(detector_line(config.detection))
    if doubt := doubt_about_file(config.pipeline.people.baseline, engine.spec.labels):
        tell(f"warning: {doubt}")
    with ExitStack() as opened:
        sources = [_open_source(text, config, opened) for text in config.source]
        with signals.held():  # outputs are opened and closed as a whole
            pipeline = _make_pipeline(config, engine, detectors, sources, more_sinks)
            opened.pop_all()  # from here on the loop closes them
            supervision = Supervision(pipeline.snapshot)

            def stop() -> None:
                pipeline.stop()
                supervision.stopping()

            signals.on_stop(stop)
            serving = nullcontext() if reload is None else reload.serving(pipeline, sources, supervision)
            try:
                with _progress() as on_progress, supervision.running(), serving:
                    pipeline.run(on_progress)
            finally:  # after a failure too: what was written until then is whole
                report(pipeline)
            if signals.came() and not pipeline.stats.num_frames:
                tell("ended before the first frame")


def _settings(config_path: Path | None, flags: dict[str, Any]) -> LiveConfig:
    """Return the config overridden by the flags. FER_SERVE_TOKEN is ignored in a run without --serve."""
    origin = click.get_current_context().get_parameter_source("serve_token")
    if origin is ParameterSource.ENVIRONMENT:
        without = settings_from_flags(LiveConfig, config_path, {**flags, "serve_token": None}, _KEYS)
        if without.output.serve is None:
            return without
    return settings_from_flags(LiveConfig, config_path, flags, _KEYS)


def _open_source(text: str, config: LiveConfig, opened: ExitStack) -> Source:
    source = open_source(text, config.stream)
    opened.callback(source.close)
    for note in source.notes:
        tell(f"{source.name} {note}")
    return PacedSource(source) if config.realtime and source.is_live is not True else source


def _make_pipeline(
    config: LiveConfig, engine: Engine, detectors: DetectorFactory, sources: list[Source], more_sinks: Sequence[Sink]
) -> LivePipeline:
    """Open the outputs and create the pipeline; if that fails, the opened outputs are closed."""
    made: list[LivePipeline] = []

    def snapshot() -> LiveSnapshot:
        return made[0].snapshot()

    with ExitStack() as opened:
        people, labels = config.pipeline.people, engine.spec.labels
        run = _fingerprint(config)
        files = open_sinks(
            config.output, sources, labels, snapshot, is_corrected=people.corrects, run=run, on_message=tell
        )
        sinks = [*files, *more_sinks]
        for sink in sinks:
            opened.callback(sink.close)
        made_with = {"detector": describe_detector(config.detection), **people.correction_in_words()}
        made_with |= {} if run is None else {"run": run.run}
        made.append(LivePipeline(sources, detectors, engine, sinks, config=config.pipeline, made_with=made_with))
        opened.pop_all()
    return made[0]


def _fingerprint(config: LiveConfig) -> RunFingerprint | None:
    """Return the fingerprint of the run; None if no table is written."""
    if config.output.csv is config.output.parquet is config.output.events_file is None:
        return None
    return fingerprint_of_run(config, config.pipeline, config.detection, digest_of_sources(config.source))


def _report(pipeline: LivePipeline, *, config: LiveConfig, as_json: bool, verbose: bool) -> None:
    snapshot, stats = pipeline.snapshot(), pipeline.stats
    if as_json:
        try:
            click.echo(json.dumps(report_dict(snapshot, stats.throughput_fps, stats.presence)))
        except OSError as err:
            raise SinkError(
                f"cannot write the report: {err.strerror}. Fix: check what standard output leads to"
            ) from err
    else:
        beside_results = config.output.jsonl == STANDARD_OUTPUT
        print_report(snapshot, stats.throughput_fps, stats.presence, beside_results=beside_results, verbose=verbose)


def _progress() -> AbstractContextManager[Callable[[LiveSnapshot], None] | None]:
    """Return the progress line of a terminal; its package is imported only there."""
    if not sys.stderr.isatty():
        return nullcontext()
    line: AbstractContextManager[Callable[[LiveSnapshot], None]] = import_module(
        "fer_deploy.cli.terminal.live_progress"
    ).shown_progress()
    return line
