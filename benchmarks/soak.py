"""Run the live loop for a long time with faults. Memory, file descriptors and threads must not grow.

Two sources share one engine: drawn faces at the rate of a camera, and a local stream (MJPEG over HTTP) whose server
dies, stalls, sends garbage, changes size and comes back. There are two outputs: JSONL and a slow one; with --record
also a video of each source, with --serve also the web page with one viewer. The result is the growth after the first
tenth, when every buffer has been filled once.

    python benchmarks/soak.py --frames 50000
    python benchmarks/soak.py --minutes 60 --yunet face_detection_yunet_2026may.onnx --record --serve
"""

import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import psutil
import torch
from harness.measuring import environment
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.faulty_camera import FaultyCamera
from live.soak_report import as_markdown, growth, measures_of, tenths
from live.viewer import one_viewer
from rich.console import Console

from fer_deploy.detectors import DetectorConfig, build_detectors, describe_detector
from fer_deploy.engines import Engine, bundled_model_for, open_engine
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.serve import ServeSink
from fer_deploy.live.sinks import JsonlSink, Picture, Sink, VideoSink
from fer_deploy.live.sources import PacedSource, Source, SourceConfig, SyntheticSource, open_source
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.vision.types import FrameResult

DEFAULT_FRAMES = 50_000
SAMPLE_S, MAX_SAMPLES = 1.0, 3000
_console = Console()


@dataclass(frozen=True)
class Soak:
    """Settings of the run.

    Attributes:
        frames: end after this number; None: no limit.
        minutes: end after this time; None: no limit.
        fps: frames per second of the drawn source.
        yunet: file of the detector; None: the detector that `auto` finds.
        record: whether to record a video of each source.
        serve: whether to serve the page, with one viewer.
    """

    frames: int | None = None
    minutes: float | None = None
    fps: float = 200.0
    yunet: Path | None = None
    record: bool = False
    serve: bool = False


class SlowSink(Sink):
    """Output that needs a tenth of a second per result; the loop must not wait for it."""

    name = "slow"

    def __init__(self) -> None:
        self._never = threading.Event()

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Wait a tenth of a second."""
        self._never.wait(0.1)
        return True


class Meter:
    """Samples of this process: frames done, resident memory, file descriptors, threads."""

    def __init__(self, minutes: float | None) -> None:
        """Sample once per second, or less often in a long run, which limits the size of the file.

        The meter has its own clock, because the loop's clock stops with its frames. No garbage collection runs before
        a sample, because the loop runs none either.
        """
        self._process = psutil.Process()
        self._every_s = max(SAMPLE_S, 60 * (minutes or 0) / MAX_SAMPLES)
        self._started_s = time.monotonic()
        self._sampled_s = 0.0
        self.samples: list[tuple[int, float, int, int]] = []

    @property
    def seconds(self) -> float:
        """Return the seconds since the start of the run."""
        return time.monotonic() - self._started_s

    def note(self, snapshot: LiveSnapshot) -> None:
        """Record a sample if one is due."""
        if self.seconds - self._sampled_s < self._every_s:
            return
        self._sampled_s = self.seconds
        self.sample(snapshot.num_frames)
        if len(self.samples) % 20 == 0:
            _, rss_mb, fds, threads = self.samples[-1]
            _console.print(
                f"{snapshot.num_frames} frames, {snapshot.throughput_fps:.0f} frames/s, "
                f"{rss_mb:.1f} MB, {fds} files, {threads} threads"
            )

    def sample(self, num_frames: int) -> None:
        """Record a sample."""
        rss_mb = self._process.memory_info().rss / 1e6
        self.samples.append((num_frames, rss_mb, self._process.num_fds(), self._process.num_threads()))


def run(soak: Soak, folder: Path) -> dict[str, Any]:
    """Run the loop until its end; files go into `folder`."""
    detection = DetectorConfig(detector="yunet" if soak.yunet else "auto", detector_model=soak.yunet)
    meter = Meter(soak.minutes)
    with (
        FaultyCamera() as camera,
        open_engine(bundled_model_for("cpu"), device="cpu", threads=1) as engine,
        ExitStack() as viewers,
    ):
        stream = SourceConfig(stall_s=1.0, frozen_s=2.0, connect_s=5.0)
        sources = [PacedSource(SyntheticSource(), fps=soak.fps), open_source(camera.url, stream)]
        waiting: list[LivePipeline] = []
        sinks = _sinks(soak, folder, engine, sources, waiting)
        pipeline = LivePipeline(
            sources, build_detectors(detection), engine, sinks, config=PipelineConfig(max_frames=soak.frames)
        )
        waiting.append(pipeline)
        for sink in sinks:
            if isinstance(sink, ServeSink):
                viewers.enter_context(one_viewer(sink.url))

        def on_progress(snapshot: LiveSnapshot) -> None:
            meter.note(snapshot)
            if soak.minutes is not None and meter.seconds >= 60 * soak.minutes:
                pipeline.stop()

        snapshot = pipeline.run(on_progress)
    if not meter.samples:  # a run of a second
        meter.sample(snapshot.num_frames)
    rows = tenths(meter.samples, snapshot.num_frames)
    return {
        "soak": asdict(soak) | {"yunet": str(soak.yunet or "")},
        "detector": describe_detector(detection),
        "growth": growth(rows),
        "tenths": rows,
        "snapshot": snapshot.to_dict(),
        "samples": meter.samples,
    }


def _sinks(soak: Soak, folder: Path, engine: Engine, sources: list[Source], waiting: list[LivePipeline]) -> list[Sink]:
    sinks: list[Sink] = [JsonlSink(folder / "a.jsonl", num_sources=2), SlowSink()]
    if soak.record:
        sinks += [VideoSink(folder / f"{n}.mp4", s.fps, is_live=s.is_live, source=n) for n, s in enumerate(sources)]
    if soak.serve:

        def snapshot() -> LiveSnapshot:
            return waiting[0].snapshot()

        sinks.append(ServeSink("127.0.0.1:0", snapshot=snapshot, labels=engine.spec.labels))
    return sinks


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result, result["environment"]), measures_of(result))


@click.command()
@click.option("--frames", type=click.IntRange(min=1), help=f"End after this number.  [default: {DEFAULT_FRAMES:,}]")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="End after this time, or earlier by --frames."
)
@click.option("--fps", default=200.0, show_default=True, help="Frames per second of the drawn source.")
@click.option(
    "--yunet", type=click.Path(path_type=Path, exists=True), help="YuNet's .onnx.  [default: what auto finds]"
)
@click.option("--record", is_flag=True, help="Record a video of each source, into a temporary folder.")
@click.option("--serve", is_flag=True, help="Serve the page, with one viewer.")
@output_options(report)
def main(output: Output, **wanted: Any) -> None:
    """Run the live loop with faults."""
    if wanted["frames"] is None and wanted["minutes"] is None:
        wanted["frames"] = DEFAULT_FRAMES
    with tempfile.TemporaryDirectory() as folder:
        result = run(Soak(**wanted), Path(folder))
    device = torch.device("cpu")
    output.write("soak", device, {"environment": environment(device), **result})


if __name__ == "__main__":
    main()
