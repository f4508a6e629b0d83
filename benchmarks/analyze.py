"""Measure the resident memory of `fer-deploy analyze` over a long video, once per second.

The clips are repeated into one temporary MP4. The command runs in a separate process, with the annotated video unless
--no-video. The memory should not grow from one tenth of the frames to the next; joining the parts and writing the
report may need more.

    python benchmarks/analyze.py
    python benchmarks/analyze.py --frames 200000 --no-video
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil
import torch
from harness.clips import clips_option
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options
from live.analyze_report import as_markdown, measures_of
from rich.console import Console

from fer_deploy.live.sinks.video.codecs import choose_encoding
from fer_deploy.live.sinks.video.encoder import VideoEncoder
from fer_deploy.live.sinks.video.picture_fit import fit_picture
from fer_deploy.live.sources import open_source
from fer_deploy.vision.types import Frame

SAMPLE_S = 1.0
_console = Console()


class Sample(NamedTuple):
    """State of the process; `frames` is the number in its last checkpoint, None while the parts are joined."""

    seconds: float
    rss_mb: float
    frames: int | None


def write_long(clips: Sequence[Path], num_frames: int, path: Path) -> None:
    """Write `num_frames` frames of the repeated clips as H.264 with the first clip's size and speed.

    Raises:
        StreamError: a clip cannot be opened or has no frame.
    """
    encoder: VideoEncoder | None = None
    size, fps = (0, 0), 0.0
    for index, frame in enumerate(itertools.islice(_frames_of(clips), num_frames)):
        if encoder is None:
            height, width = frame.frame_bgr.shape[:2]
            size, fps = (width - width % 2, height - height % 2), _fps_of(clips[0])
            encoder = VideoEncoder(path, size=size, fps=fps, is_live=False, encoding=choose_encoding("x264"))
        encoder.add(fit_picture(frame.frame_bgr, size), index / fps)
    assert encoder is not None
    encoder.close()


def _frames_of(clips: Sequence[Path]) -> Iterator[Frame]:
    for clip in itertools.cycle(clips):
        source = open_source(str(clip))
        try:
            yield from source.frames()
        finally:
            source.close()


def _fps_of(clip: Path) -> float:
    source = open_source(str(clip))
    source.close()
    return source.fps


def measure(video: Path, out: Path, options: Sequence[str], *, every_s: float = SAMPLE_S) -> dict[str, Any]:
    """Run the command on a video and return its samples, seconds and summary.

    Raises:
        click.ClickException: the command failed; the message has the end of its output.
    """
    command = [sys.executable, "-m", "fer_deploy", "analyze", str(video), "--out", str(out), *options]
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            samples = list(_samples(child, out / video.stem, started, every_s))
        finally:
            child.kill()
            child.wait()
        log.seek(0)
        text = log.read()
    if child.returncode:
        raise click.ClickException(f"{' '.join(command)} failed: {text.strip()[-1500:]}")
    summary = json.loads((out / video.stem / "summary.json").read_text())
    kept = {name: summary[name] for name in ("engine", "detector", "duration_s", "fps", "picture_size", "accounting")}
    return {"seconds": time.monotonic() - started, "options": list(options), "summary": kept, "samples": samples}


def _samples(child: "subprocess.Popen[bytes]", folder: Path, started: float, every_s: float) -> Iterator[Sample]:
    process, frames, is_begun = psutil.Process(child.pid), 0, False
    while True:
        try:
            child.wait(every_s)
            return
        except subprocess.TimeoutExpired:
            state = _checkpoint(folder)
        is_begun = is_begun or state is not None
        frames = state["accounting"]["num_analyzed"] if state is not None else frames
        is_joining = state["is_complete"] if state is not None else is_begun
        rss_mb = process.memory_info().rss / 1e6
        if rss_mb:  # 0 after the end of the process, before it was waited for
            yield Sample(time.monotonic() - started, rss_mb, None if is_joining else frames)


def _checkpoint(folder: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((folder / "parts" / "checkpoint.json").read_bytes())
    except FileNotFoundError:
        return None
    return state


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result, result["environment"]), measures_of(result))


@click.command()
@clips_option
@yunet_option
@click.option("--frames", default=20_000, show_default=True, help="Frames of the long video.")
@click.option("--detect-every", default=1, show_default=True)
@click.option("--video/--no-video", default=True, show_default=True, help="Write the annotated video.")
@output_options(report)
def main(clips: tuple[Path, ...], yunet: Path, frames: int, detect_every: int, video: bool, output: Output) -> None:
    """Analyze a long video and watch the memory."""
    options = ["--detector", "yunet", "--detector-model", str(yunet), "--detect-every", str(detect_every)]
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.mp4"
        write_long(clips, frames, long)
        _console.print(f"{long}: {frames} frames, {long.stat().st_size / 1e6:.0f} MB")
        result = measure(long, Path(folder) / "out", [*options, "--video" if video else "--no-video"])
    device = torch.device("cpu")
    result["clips"] = [clip.name for clip in clips]
    output.write("analyze", device, {"environment": environment(device), **result})


if __name__ == "__main__":
    main()
