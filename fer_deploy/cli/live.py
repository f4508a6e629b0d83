"""fer-deploy live: flags and printing around `LivePipeline`."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_args

import click
import cv2
from rich.console import Console
from rich.live import Live
from rich.table import Table

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import Device, open_engine
from fer_deploy.errors import FerDeployError
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.screen import why_no_screen
from fer_deploy.live.sinks import JsonlSink, Sink, VideoSink, WindowSink
from fer_deploy.live.sources import Source, open_source
from fer_deploy.live.sources.video import without_password
from fer_deploy.live.stats import LiveStats
from fer_deploy.settings import load_settings
from fer_deploy.vision.detector import DETECTORS, build_detector

_path = click.Path(path_type=Path)


@click.command("live")
@click.option("--config", "config_path", type=_path, help="YAML; see configs/live.yaml. Flags win.")
@click.option("--source", help="Camera number, video file, picture, folder, rtsp://..., or synthetic.  [default: 0]")
@click.option("--engine", type=_path, help="Model file.  [default: the one that ships with the package]")
@click.option("--device", type=click.Choice(get_args(Device)), help="Where the engine runs.  [default: auto]")
@click.option("--trust-plan", is_flag=True, default=None, help="Load a TensorRT plan its manifest does not vouch for.")
@click.option("--allow-host-code", is_flag=True, default=None, help="Let a plan's lean runtime run on the host.")
@click.option("--detector", type=click.Choice(list(DETECTORS)), help="Face detector.  [default: haar]")
@click.option("--record", type=_path, help="Write the annotated video here (.mp4, .avi, .mkv).")
@click.option("--jsonl", type=_path, help="Write one JSON object a frame here.")
@click.option("--display/--no-display", default=None, help="Show a window.  [default: where there is a screen]")
@click.option("--max-frames", type=int, help="End after this many frames.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as one JSON object.")
def command(config_path: Path | None, as_json: bool, **flags: Any) -> None:
    """Recognize emotions on a camera, stream, file or folder. q, Esc or Ctrl-C end it."""
    config = load_settings(LiveConfig, config_path, flags)
    # Our own errors name the cause; OpenCV's warnings would bury them.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    console = Console(stderr=True)
    permissions = {"trust_plan": config.trust_plan, "allow_host_code": config.allow_host_code}
    with open_engine(config.engine or bundled_model(), device=config.device, **permissions) as engine:
        console.print(f"engine: {engine.description}", highlight=False)
        detector = build_detector(config.detector)
        source = open_source(config.source)
        try:
            sinks = _open_sinks(config, source, console)
        except FerDeployError:
            source.close()
            raise
        pipeline = LivePipeline(source, detector, engine, sinks, max_frames=config.max_frames)
        try:
            with _stop_on_signals(pipeline), _progress(console) as on_frame:
                pipeline.run(on_frame)
        finally:  # after a failure too: what was written until then is whole
            _report(pipeline.stats, config, engine.description, as_json=as_json)


def _report(stats: LiveStats, config: LiveConfig, engine: str, *, as_json: bool) -> None:
    outputs = {"record": config.record, "jsonl": config.jsonl}
    written = {name: str(path) for name, path in outputs.items() if path is not None and stats.num_frames}
    if as_json:
        run = {"source": without_password(config.source), "engine": engine}
        click.echo(json.dumps({**run, **stats.to_dict(), **written}))
        return
    if stats.num_frames:
        Console().print(_stats_table(stats))
    for name, path in written.items():
        click.echo(f"{'video' if name == 'record' else 'results'}: {path}")


def _open_sinks(config: LiveConfig, source: Source, console: Console) -> list[Sink]:
    """Open what the config names; JSONL last, since it replaces the old file at once. On failure none stays open."""
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if config.display:
            reason = why_no_screen()
            if reason is None:
                sinks.append(stack.enter_context(WindowSink("fer-deploy live", is_live=source.is_live)))
            else:
                console.print(f"no window: {reason}; going on without. --no-display silences this", highlight=False)
        if config.record is not None:
            sinks.append(stack.enter_context(VideoSink(config.record, source.fps)))
        if config.jsonl is not None:
            sinks.append(stack.enter_context(JsonlSink(config.jsonl)))
        stack.pop_all()  # from here on the loop closes them
        return sinks


@contextmanager
def _stop_on_signals(pipeline: LivePipeline) -> Iterator[None]:
    """End the loop on Ctrl-C and SIGTERM after the frame in hand; a second Ctrl-C interrupts at once."""

    def stop(number: int, _: object) -> None:
        pipeline.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(console: Console) -> Iterator[Any]:
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:

        def show(stats: LiveStats) -> None:
            live.update(f"{stats.num_frames} frames, {stats.num_faces} faces, {stats.throughput_fps:.1f} frames/s")

        yield show


def _stats_table(stats: LiveStats) -> Table:
    table = Table(title="latency by stage, milliseconds")
    for column in ("stage", "p50", "p90", "p99"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for row in stats.latencies():
        table.add_row(row.stage, f"{row.p50_ms:.2f}", f"{row.p90_ms:.2f}", f"{row.p99_ms:.2f}")
    table.caption = (
        f"{stats.num_frames} frames, {stats.num_faces} faces, {stats.num_dropped} dropped, "
        f"throughput {stats.throughput_fps:.1f} frames/s over {stats.seconds:.1f} s"
    )
    return table
