"""Measure the cost of outputs in CPU time per frame: overlay, JSON line, CSV row, and video encoders.

    python benchmarks/outputs.py --clip CLIP

CPU time hardly depends on other work on the machine; each figure is the median over alternating rounds.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np
import torch
from harness.clips import clips_option, looped_frames, read_clip
from harness.comparing import Measure, exact_measure, noted_measure
from harness.measuring import environment, markdown_table
from harness.reports import Report, Result
from harness.results import Output, output_options

from fer_deploy.live.drawing.overlay import draw_result
from fer_deploy.live.output_files import VideoCodec
from fer_deploy.live.sinks import CsvSink, line_from_result
from fer_deploy.live.sinks.video.codecs import choose_encoding
from fer_deploy.live.sinks.video.encoder import VideoEncoder
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIZES = ((480, 270), (1280, 720))
NUM_FACES = 3
CPU, IN_ROUNDS = "CPU, ms a frame", "in rounds"
"""Names of the median, which the table has, and of its rounds."""
Row = dict[str, Any]


def results_of(pictures: list[np.ndarray]) -> list[FrameResult]:
    """Return a result with three faces for each picture, with random probabilities."""
    rng = np.random.default_rng(1)
    results = []
    for index, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        faces = []
        for n in range(NUM_FACES):
            probs = dict(zip(LABELS, map(float, rng.dirichlet([0.5] * len(LABELS))), strict=True))
            label = max(probs, key=lambda name: probs[name])
            left, top = width * (3 * n + 1) // 10, height // 3
            box = Box(left, top, left + width // 8, top + height // 4)
            emotion = Emotion(label, probs[label], Probabilities.from_dict(probs))
            faces.append(FaceResult(TrackedFace(n + 1, Detection(box, 0.9)), emotion, emotion))
        results.append(FrameResult(Frame(picture, index, index / 30, 0), tuple(faces)))
    return results


def record_opencv(path: Path, pictures: list[np.ndarray]) -> None:
    """Write MPEG-4 with OpenCV."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()


def record_ours(path: Path, pictures: list[np.ndarray], codec: VideoCodec) -> None:
    """Write the video of `--record` with this `--video-codec`."""
    height, width = pictures[0].shape[:2]
    encoder = VideoEncoder(path, size=(width, height), fps=30, is_live=False, encoding=choose_encoding(codec))
    for index, picture in enumerate(pictures):
        encoder.add(picture, index / 30)
    encoder.close()


def record_preset(path: Path, pictures: list[np.ndarray], preset: str) -> None:
    """Write H.264 with another preset, at the same quality, in one thread."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": preset, "crf": "23"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for picture in pictures:
            picture_yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture_yuv, format="yuv420p")))
        container.mux(stream.encode(None))


def psnr_of(path: Path, pictures: list[np.ndarray]) -> float:
    """Return the mean of each frame's peak signal-to-noise ratio in decibels."""
    return statistics.mean(map(cv2.PSNR, pictures, read_clip(path)))


VIDEOS: dict[str, Callable[[Path, list[np.ndarray]], None]] = {
    "OpenCV mp4v": record_opencv,
    "--record (VP9)": partial(record_ours, codec="vp9"),
    "--record-codec x264 (ultrafast)": partial(record_ours, codec="x264"),
    "--record-codec av1": partial(record_ours, codec="av1"),
    "--record-codec mpeg4": partial(record_ours, codec="mpeg4"),
    "H.264 superfast": partial(record_preset, preset="superfast"),
    "H.264 veryfast": partial(record_preset, preset="veryfast"),
}


def cpu_ms(calls: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Return the CPU milliseconds of each call in each round, over all threads of the process, alternating."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.process_time()
            call()
            taken[name].append(1e3 * (time.process_time() - started))
    return taken


def measure(clip: Path, size: tuple[int, int], folder: Path, *, frames: int, rounds: int) -> list[Row]:
    """Return one row per output: its cost per frame of (width, height), and size and quality of videos."""
    pictures = [cv2.resize(frame, size) for frame in looped_frames(clip, frames)]
    results = results_of(pictures)
    paths = {name: folder / f"{number}-{size[0]}.mp4" for number, name in enumerate(VIDEOS)}
    with CsvSink(folder / f"{size[0]}.csv", LABELS) as table:
        calls: dict[str, Callable[[], object]] = {
            "overlay": lambda: [draw_result(result, LABELS) for result in results],
            "JSON line": lambda: [line_from_result(result) for result in results],
            "CSV": lambda: [table.write(result, None) for result in results],
            **{name: partial(record, paths[name], pictures) for name, record in VIDEOS.items()},
        }
        taken = cpu_ms(calls, rounds=rounds)
    rows: list[Row] = [
        {
            "output": name,
            CPU: statistics.median(values) / frames,
            IN_ROUNDS: [value / frames for value in values],
        }
        for name, values in taken.items()
    ]
    for row in rows:
        path = paths.get(row["output"])
        row["KiB a frame"] = "" if path is None else path.stat().st_size / 1024 / frames
        row["PSNR, dB"] = "" if path is None else psnr_of(path, pictures)
    return rows


def as_markdown(sizes: dict[str, list[Row]], env: dict[str, str]) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# Outputs, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, {NUM_FACES} faces per frame. CPU time of all threads of the process; "
        "the median over alternating rounds.",
        "",
        f"    {env['command']}",
    ]
    for size, rows in sizes.items():
        shown = [{name: value for name, value in row.items() if name != IN_ROUNDS} for row in rows]
        lines += ["", f"## {size}", "", *markdown_table(shown, digits=3)]
    return "\n".join([*lines, ""])


def measures_of(sizes: dict[str, list[Row]]) -> list[Measure]:
    """Return what --compare compares: the CPU time; size and quality of videos, which no machine's speed changes."""
    found = []
    for size, rows in sizes.items():
        for row in rows:
            name = f"{size}, {row['output']}"
            found.append(noted_measure(f"{name}: {CPU}", row[CPU], row.get(IN_ROUNDS)))
            if row["KiB a frame"] != "":
                found.append(exact_measure(f"{name}: KiB a frame", row["KiB a frame"]))
                found.append(exact_measure(f"{name}: PSNR, dB", row["PSNR, dB"], better="higher"))
    return found


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result["sizes"], result["environment"]), measures_of(result["sizes"]))


@click.command()
@clips_option
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Frames of the first clip, which is looped.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@output_options(report)
def main(clips: tuple[Path, ...], frames: int, rounds: int, output: Output) -> None:
    """Measure the cost of each output per frame."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        sizes = {
            f"{width}x{height}": measure(clips[0], (width, height), Path(folder), frames=frames, rounds=rounds)
            for width, height in SIZES
        }
    device = torch.device("cpu")
    output.write("outputs", device, {"environment": environment(device), "sizes": sizes})


if __name__ == "__main__":
    main()
