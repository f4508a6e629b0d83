"""Soak: the live loop for a long time, with faults thrown in. Memory, file descriptors and threads must stay.

Two sources share one engine: drawn faces as fast as they are wanted by a camera of that rate, and a stream of this
machine (MJPEG over HTTP) whose server dies, stalls, sends garbage, changes size and comes back. Two outputs: JSONL, and
one that is slow. What counts is the growth after the first tenth, when every buffer has been filled once.

    python benchmarks/soak.py --frames 50000
"""

import gc
import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import click
import psutil
import torch
from _harness import environment, result_path, write_results
from _soak_server import FaultyCamera
from rich.console import Console

from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines import bundled_model_for, open_engine
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import JsonlSink, Picture, Sink
from fer_deploy.live.sources import PacedSource, SourceConfig, SyntheticSource, open_source
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.vision.types import FrameResult

SAMPLE_S = 1.0
_console = Console()


class SlowSink(Sink):
    """Takes a tenth of a second for each result; the loop must not wait for it."""

    name = "slow"

    def __init__(self) -> None:
        self._never = threading.Event()

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Take long."""
        self._never.wait(0.1)
        return True


class Meter:
    """Samples of this process: frames done, resident memory, file descriptors, threads."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.samples: list[tuple[int, float, int, int]] = []

    def sample(self, num_frames: int) -> None:
        """Take a sample."""
        gc.collect()
        rss_mb = self._process.memory_info().rss / 1e6
        self.samples.append((num_frames, rss_mb, self._process.num_fds(), self._process.num_threads()))

    def growth(self, num_frames: int) -> dict[str, float]:
        """Return the growth from the first tenth of the run to its end: medians over a tenth at either side.

        File descriptors and threads come and go with each connection; their medians do not.
        """
        early = [s for s in self.samples if 0.1 * num_frames <= s[0] < 0.2 * num_frames]
        late = [s for s in self.samples if s[0] >= 0.9 * num_frames]

        def middle(rows: list[tuple[int, float, int, int]], column: int) -> float:
            values = sorted(float(row[column]) for row in rows)
            return values[len(values) // 2]

        return {
            name: round(middle(late, column) - middle(early, column), 2)
            for column, name in ((1, "rss_mb"), (2, "fds"), (3, "threads"))
        }


def run(num_frames: int, fps: float, folder: Path) -> dict[str, Any]:
    """Run the loop until `num_frames` are analyzed."""
    meter = Meter()
    told = [0.0]
    stream = SourceConfig(stall_s=1.0, frozen_s=2.0, connect_s=5.0)
    with (
        FaultyCamera() as camera,
        open_engine(bundled_model_for("cpu"), device="cpu", threads=1) as engine,
    ):
        sources = [PacedSource(SyntheticSource(), fps=fps), open_source(camera.url, stream)]
        sinks: list[Sink] = [JsonlSink(folder / "a.jsonl", num_sources=2), SlowSink()]
        pipeline = LivePipeline(
            sources, build_detectors(DetectorConfig(detector="auto")), engine, sinks,
            config=PipelineConfig(max_frames=num_frames),
        )  # fmt: skip

        def on_progress(snapshot: LiveSnapshot) -> None:
            if snapshot.seconds - told[0] < SAMPLE_S:
                return
            told[0] = snapshot.seconds
            meter.sample(snapshot.num_frames)
            if len(meter.samples) % 20 == 0:
                _, rss_mb, fds, threads = meter.samples[-1]
                _console.print(f"{snapshot.num_frames} frames, {snapshot.throughput_fps:.0f} frames/s, "
                               f"{rss_mb:.1f} MB, {fds} files, {threads} threads")  # fmt: skip

        snapshot = pipeline.run(on_progress)
    return {"growth": meter.growth(num_frames), "snapshot": snapshot.to_dict(), "samples": meter.samples}


def as_markdown(result: dict[str, Any], env: dict[str, str]) -> str:
    """Return the report."""
    snapshot, growth = result["snapshot"], result["growth"]
    health = snapshot["sources"][1]["health"]
    lines = [
        f"# Soak of the live loop, {env['hardware']}", "", f"{env['date']}, Python {env['python']}.", "",
        f"    {env['command']}", "",
        f"{snapshot['num_frames']:,} frames in {snapshot['seconds']:,.0f} s, {snapshot['num_faces']:,} faces, two "
        "sources, one of them a stream that fails all the time.", "",
        "| what | value |", "|---|---|",
        f"| growth of resident memory, from the second tenth to the last | {growth['rss_mb']:+.2f} MB |",
        f"| of open file descriptors | {growth['fds']:+.0f} |", f"| of threads | {growth['threads']:+.0f} |",
        f"| the stream came back | {health['num_reconnects']} times |", f"| stalls | {health['num_stalls']} |",
        f"| frozen pictures | {health['num_frozen']} |", f"| corrupt frames skipped | {health['num_corrupt']} |",
        f"| changes of size | {health['num_size_changes']} |",
        f"| dropped for the slow output | {snapshot['sinks'][1]['num_dropped']:,} |",
    ]  # fmt: skip
    return "\n".join([*lines, ""])


@click.command()
@click.option("--frames", default=50_000, show_default=True)
@click.option("--fps", default=200.0, show_default=True, help="Of the drawn source.")
def main(frames: int, fps: float) -> None:
    """Run the live loop with faults; results into benchmarks/results."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(frames, fps, Path(folder))
    device = torch.device("cpu")
    env = environment(device)
    path = result_path("soak", device)
    write_results(path, {"environment": env, **result}, as_markdown(result, env))
    _console.print(f"written: {path}\n{json.dumps(result['growth'])}")


if __name__ == "__main__":
    main()
