"""fer-deploy live: flags and printing around `LivePipeline`."""

import json
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_args

import click
import cv2
from rich.console import Console
from rich.live import Live

from fer_deploy.artifacts import bundled_model
from fer_deploy.cli.live_report import print_report, progress_line, report_dict
from fer_deploy.detectors import DetectorName, build_detectors
from fer_deploy.engines import Device, Engine, open_engine
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.outputs import open_sinks
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sources import PacedSource, Source, open_source
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.settings import load_settings

_path = click.Path(path_type=Path)
_GROUPS = {
    "detection": ("detector", "detector_model", "min_face", "roi", "max_faces", "min_score"),
    "pipeline": ("detect_every", "workers", "max_frames"),
    "people": ("smoothing_s", "unsure_below"),
    "stream": ("keep_trying",),
    "output": ("record", "jsonl", "csv", "parquet", "mqtt", "serve", "serve_token", "display"),
}
"""Where in LiveConfig a flag belongs; `people` is a group of `pipeline`."""


class _IntervalType(click.ParamType[Any]):
    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto":
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of frames nor auto", param, ctx)


@click.command("live")
@click.option("--config", "config_path", type=_path, help="YAML; see configs/live.yaml. Flags win.")
@click.option("--source", multiple=True,
              help="Camera number, video file, picture, folder, rtsp:// or http:// address, - for standard input, or "
              "synthetic. Several times: all share one engine.  [default: 0]")  # fmt: skip
@click.option("--realtime", is_flag=True, default=None, help="Play recordings at their own speed, as a camera would.")
@click.option("--engine", type=_path, help="Model file.  [default: the one that ships with the package]")
@click.option("--device", type=click.Choice(get_args(Device)), help="Where the engine runs.  [default: auto]")
@click.option("--trust-plan", is_flag=True, default=None, help="Load a TensorRT plan its manifest does not vouch for.")
@click.option("--allow-host-code", is_flag=True, default=None, help="Let a plan's lean runtime run on the host.")
@click.option("--detector", type=click.Choice(get_args(DetectorName)),
              help="yunet finds turned and small faces, haar frontal ones and needs no file; auto: yunet where its "
              "file is at hand.  [default: auto]")  # fmt: skip
@click.option("--detector-model", type=_path, help="YuNet's .onnx; without it the official file, fetched once.")
@click.option("--min-face", type=int, help="Smallest face in pixels; larger is faster.")
@click.option("--roi", metavar="X1,Y1,X2,Y2", help="Look only here, in pixels or in shares of the frame.")
@click.option("--max-faces", type=int, help="At most this many a frame, the largest.")
@click.option("--min-score", type=float, help="How sure the detector must be, 0 to 1.")
@click.option("--detect-every", type=_IntervalType(), help="Detect in every N-th frame, follow faces between.  [auto]")
@click.option("--smoothing", "smoothing_s", type=float, help="Seconds over which a person's emotions are averaged.")
@click.option("--unsure-below", type=float, help="Say unsure below this confidence, 0 to 1.")
@click.option("--workers", type=int, help="Threads that analyze.  [default: one a core]")
@click.option("--keep-trying", is_flag=True, default=None, help="Wait for a source that cannot be opened yet.")
@click.option("--record", type=_path, help="Write the annotated video here (.mp4, .mkv, .avi).")
@click.option("--jsonl", type=_path, help="Write one JSON object a frame here.")
@click.option("--csv", type=_path, help="Write one row a face here.")
@click.option("--parquet", type=_path, help="Write one row a face here.")
@click.option("--mqtt", help="Publish one message a frame: mqtt://host/topic.")
@click.option("--serve", help="Web page with picture and charts, metrics and health, at HOST:PORT or PORT.")
@click.option("--serve-token", envvar="FER_SERVE_TOKEN", help="What the page asks for, beyond this machine.")
@click.option("--display/--no-display", default=None, help="Show a window.  [default: where there is a screen]")
@click.option("--max-frames", type=int, help="End after this many frames.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as one JSON object.")
def command(config_path: Path | None, as_json: bool, **flags: Any) -> None:
    """Recognize emotions on cameras, streams, files or folders.

    \b
    fer-deploy live                                     the first camera, in a window; q, Esc or Ctrl-C end it
    fer-deploy live --source clip.mp4 --record out.mp4  annotate a recording
    fer-deploy live --source rtsp://camera/1 --serve 8080 --no-display
                                                        a stream, on a web page at http://127.0.0.1:8080

    Live sources keep the newest frame and count what they drop; recordings lose nothing.
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    config = load_settings(LiveConfig, config_path, _nested(flags))
    # Our own errors name the cause; OpenCV's warnings would bury them.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    console = Console(stderr=True)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    permissions = {"trust_plan": config.trust_plan, "allow_host_code": config.allow_host_code}
    # One thread a call: the workers are as many as the cores, and threads that wait for each other's core gain nothing.
    with open_engine(config.engine or bundled_model(), device=config.device, threads=1, **permissions) as engine:
        console.print(f"engine: {engine.description}", highlight=False)
        pipeline = _open_pipeline(config, engine, console)
        try:
            with _stop_on_signals(pipeline), _progress(console) as on_progress:
                pipeline.run(on_progress)
        finally:  # after a failure too: what was written until then is whole
            _report(pipeline, config, engine.description, as_json=as_json)


def _nested(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags in the groups that LiveConfig has; what was not given is left out."""
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    nested: dict[str, Any] = {}
    for group, names in _GROUPS.items():
        inside = {name: given.pop(name) for name in names if name in given}
        if inside and group == "people":
            nested.setdefault("pipeline", {})["people"] = inside
        elif inside:
            nested.setdefault(group, {}).update(inside)
    return given | nested


def _open_pipeline(config: LiveConfig, engine: Engine, console: Console) -> LivePipeline:
    """Open detector, sources and sinks; on failure none stays open."""
    detectors = build_detectors(config.detection)
    with ExitStack() as opened:
        sources: list[Source] = []
        for text in config.source:
            source = open_source(text, config.stream)
            opened.callback(source.close)
            sources.append(PacedSource(source) if config.realtime and not source.is_live else source)
        waiting: list[LivePipeline] = []

        def snapshot() -> LiveSnapshot:
            return waiting[0].snapshot()

        def tell(text: str) -> None:
            console.print(text, highlight=False, soft_wrap=True)

        sinks = open_sinks(config.output, sources, engine.spec.labels, snapshot, tell=tell)
        pipeline = LivePipeline(sources, detectors, engine, sinks, config=config.pipeline)
        waiting.append(pipeline)
        opened.pop_all()  # from here on the loop closes them
    return pipeline


def _report(pipeline: LivePipeline, config: LiveConfig, engine: str, *, as_json: bool) -> None:
    snapshot = pipeline.snapshot()
    files = config.output.files() if snapshot.num_frames else {}
    if as_json:
        click.echo(json.dumps(report_dict(snapshot, pipeline.stats.throughput_fps, engine, files)))
    else:
        print_report(snapshot, pipeline.stats.throughput_fps, files)


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
def _progress(console: Console) -> Iterator[Callable[[LiveSnapshot], None] | None]:
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda snapshot: live.update(progress_line(snapshot))
