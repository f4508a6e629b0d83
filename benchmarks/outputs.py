"""What outputs cost: CPU time of one thread a frame, for the overlay, a JSON line, a row of CSV, and encoders of video.

    python benchmarks/outputs.py CLIP

CPU time, so that other work on the machine counts little; each figure is the median over rounds that alternate.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

# isort: split
import av

from fer_deploy.live.overlay import draw_result
from fer_deploy.live.sinks import CsvSink, line_from_result
from fer_deploy.live.sinks.video_encoder import VideoEncoder
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIZES = ((480, 270), (1280, 720))
NUM_FRAMES = 60
NUM_FACES = 3
ROUNDS = 3


def pictures_of(clip: Path, size: tuple[int, int]) -> list[np.ndarray]:
    """Return the clip's frames at (width, height), repeated until there are enough."""
    pictures: list[np.ndarray] = []
    while len(pictures) < NUM_FRAMES:
        capture = cv2.VideoCapture(str(clip))
        before = len(pictures)
        while len(pictures) < NUM_FRAMES and (read := capture.read())[0]:
            pictures.append(cv2.resize(read[1], size))
        capture.release()
        if len(pictures) == before:
            raise SystemExit(f"error: {clip} has no frame. Fix: another clip")
    return pictures


def results_of(pictures: list[np.ndarray]) -> list[FrameResult]:
    """Return a result with three faces for each picture, probabilities at random."""
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
            emotion = Emotion(label, probs[label], probs)
            faces.append(FaceResult(TrackedFace(n + 1, Detection(box, 0.9)), emotion, emotion))
        results.append(FrameResult(Frame(picture, index, index / 30, 0), tuple(faces)))
    return results


def record_opencv(path: Path, pictures: list[np.ndarray]) -> None:
    """Write MPEG-4 as OpenCV does."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()


def record_ours(path: Path, pictures: list[np.ndarray]) -> None:
    """Write what `--record` writes."""
    height, width = pictures[0].shape[:2]
    encoder = VideoEncoder(path, size=(width, height), fps=30, is_live=False)
    for index, picture in enumerate(pictures):
        encoder.add(picture, index / 30)
    encoder.close()


def record_preset(path: Path, pictures: list[np.ndarray], preset: str) -> None:
    """Write H.264 at another preset, the same quality, one thread."""
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
    capture = cv2.VideoCapture(str(path))
    values = [cv2.PSNR(picture, capture.read()[1]) for picture in pictures]
    capture.release()
    return statistics.mean(values)


def cpu_ms(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return milliseconds of CPU a frame of each call, all threads of the process counted."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.process_time()
            call()
            taken[name].append((time.process_time() - started) / NUM_FRAMES * 1e3)
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Measure and print a table a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    clip = parser.parse_args().clip
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            pictures = pictures_of(clip, size)
            results = results_of(pictures)
            table = CsvSink(Path(folder) / f"{size[0]}.csv", LABELS)
            videos: dict[str, Callable[[Path], None]] = {
                "OpenCV mp4v": lambda path, p=pictures: record_opencv(path, p),
                "--record (H.264 ultrafast)": lambda path, p=pictures: record_ours(path, p),
                "H.264 superfast": lambda path, p=pictures: record_preset(path, p, "superfast"),
                "H.264 veryfast": lambda path, p=pictures: record_preset(path, p, "veryfast"),
            }
            paths = {name: Path(folder) / f"{n}.mp4" for n, name in enumerate(videos)}
            calls: dict[str, Callable[[], object]] = {
                f"overlay, {NUM_FACES} faces": lambda r=results: [draw_result(result, LABELS) for result in r],
                f"JSON line, {NUM_FACES} faces": lambda r=results: [line_from_result(result) for result in r],
                f"CSV, {NUM_FACES} faces": lambda r=results, t=table: [t.write(result, None) for result in r],
                **{name: lambda v=video, p=paths[name]: v(p) for name, video in videos.items()},
            }
            print(f"{size[0]}x{size[1]}, milliseconds of CPU a frame")  # noqa: T201
            for name, value in cpu_ms(calls).items():
                path = paths.get(name)
                more = ""
                if path is not None:
                    kib = path.stat().st_size / 1024 / NUM_FRAMES
                    more = f"{kib:8.2f} KiB a frame {psnr_of(path, pictures):6.1f} dB"
                print(f"  {name:28}{value:8.3f}{more}")  # noqa: T201
            table.close()


if __name__ == "__main__":
    main()
