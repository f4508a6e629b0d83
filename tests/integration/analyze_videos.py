"""Small videos of bright squares on a dark ground, and what finds and judges them without a model."""

from pathlib import Path

import av
import cv2
import numpy as np

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.models import Models
from fer_deploy.analyze.parts import Parts
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.video_analysis import VideoAnalysis
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live.sinks.video.codecs import choose_encoding
from fer_deploy.live.sinks.video.encoder import VideoEncoder
from fer_deploy.vision.types import Box, Detection

SIZE = (128, 96)
FPS = 24.0
SIDE = 28


def picture(index: int, *, squares: int = 2, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Squares that wander and change their brightness."""
    frame = np.full((size[1], size[0], 3), 20, dtype=np.uint8)
    for number in range(squares):
        x = 12 + 62 * number + round(10 * np.sin(0.21 * index + number))
        y = 20 + round(14 * np.cos(0.13 * index + 2 * number))
        frame[y : y + SIDE, x : x + SIDE] = 150 + round(80 * np.sin(0.05 * index + 1.7 * number))
    return frame


def write_squares(path: Path, num: int, *, squares: int = 2, size: tuple[int, int] = SIZE) -> Path:
    """Write H.264, as most recordings are."""
    encoder = VideoEncoder(path, size=size, fps=FPS, is_live=False, encoding=choose_encoding("x264"))
    for index in range(num):
        encoder.add(picture(index, squares=squares, size=size), index / FPS)
    encoder.close()
    return path


class SquareDetector:
    """Finds what is brighter than the ground."""

    def detect(self, frame_bgr: np.ndarray, scene_size: object = None) -> list[Detection]:
        mask = (frame_bgr[..., 1] > 50).astype(np.uint8)
        num, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        boxes = [stats[i] for i in range(1, num) if stats[i, cv2.CC_STAT_AREA] > 100]
        found = (Box(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h, _ in boxes)
        return [Detection(box) for box in sorted(found, key=lambda box: box.x1)]


def make_config(out: Path, **settings) -> AnalyzeConfig:
    """Two workers and segments of 24 frames."""
    pipeline = {"workers": 2, **settings.pop("pipeline", {})}
    return AnalyzeConfig.model_validate({"out": out, "segment_frames": 24, "pipeline": pipeline} | settings)


def make_models(engine_file: Path, engine: FakeEngine | None = None) -> Models:
    engine_file.write_bytes(b"stands for a model")
    return Models(engine or FakeEngine(), engine_file, SquareDetector, None, "squares")


def make_analysis(path: Path, out: Path, *, progress: AnalysisProgress | None = None, **settings) -> VideoAnalysis:
    models = make_models(path.parent / "engine.onnx")
    return VideoAnalysis(path, out / path.stem, make_config(out, **settings), models, progress or AnalysisProgress())


def stop_after_segments(video, out, num):
    """Run until so many segments are finished."""
    import pytest  # noqa: PLC0415 - not in the worker processes that import this module

    analysis = make_analysis(video, out)
    save = Parts.sync

    def sync(self, segment):
        save(self, segment)
        if segment == num - 1:
            analysis.stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parts, "sync", sync)
        assert analysis.run() is None
    assert analysis.num_frames_kept == 24 * num


def transport_stream(path: Path) -> Path:
    """Return a copy as MPEG transport stream, which has no index."""
    with av.open(str(path)) as source, av.open(str(path.with_suffix(".ts")), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux_one(packet)
    return path.with_suffix(".ts")


class StopAt(AnalysisProgress):
    """Stops the analysis once so many frames are done, or skipped; remembers what it was told."""

    def __init__(self, *, advanced: int | None = None, skipped: int | None = None) -> None:
        self._advanced, self._skipped = advanced, skipped
        self.analysis = None
        self.begun: list[tuple[int, int | None]] = []
        self.skipped: list[int] = []

    def begin(self, name, *, num_done, num_announced):
        self.begun.append((num_done, num_announced))

    def skip(self, index, num):
        self.skipped.append(index)
        if index == self._skipped:
            self.analysis.stop()

    def finish(self):
        raise AssertionError("it was to be stopped")
