"""Fixtures of the unit tests: one frame, one result, one video."""

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from unit.fer_deploy.recognizer_fakes import BrightDetector

from fer_deploy import recognizer as recognizer_module
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

RAW = Emotion("bright", 0.75, Probabilities.from_dict({"dark": 0.25, "bright": 0.75}))
SMOOTHED = Emotion("bright", 0.625, Probabilities.from_dict({"dark": 0.375, "bright": 0.625}))


@pytest.fixture(scope="session")
def make_result() -> Callable[..., FrameResult]:
    """Return a function that makes the result of one frame with the given boxes, all of one emotion, tracks 1, 2, ..

    `more` are other fields of every FaceResult.
    """

    def make(
        index: int = 0,
        *,
        boxes=((10, 30, 60, 80),),
        size=(100, 80),
        time_s=None,
        name="",
        source=0,
        smoothed=SMOOTHED,
        is_sure=True,
        is_detected=True,
        **more,
    ) -> FrameResult:
        picture = np.full((size[1], size[0], 3), 100, dtype=np.uint8)
        frame = Frame(picture, index, index / 10 if time_s is None else time_s, time.monotonic_ns(), name, source)
        tracked = [TrackedFace(n, Detection(Box(*box), 0.875), is_detected) for n, box in enumerate(boxes, start=1)]
        faces = tuple(FaceResult(face, RAW, smoothed, is_sure, face.track_id, **more) for face in tracked)
        return FrameResult(frame, faces, {"infer": 2_000_000})

    return make


@pytest.fixture
def write_video(tmp_path) -> Callable[..., Path]:
    """Return a function that writes a video whose frame k has the gray level 40 + 10 k."""

    def write(name: str, fourcc: str, *, num: int = 6, fps: float = 12.0) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), fps, (64, 48))
        assert writer.isOpened()
        for index in range(num):
            writer.write(np.full((48, 64, 3), 40 + 10 * index, dtype=np.uint8))
        writer.release()
        return path

    return write


@pytest.fixture
def bright(monkeypatch):
    """Recognizers with BrightDetector; the configs for which detectors were built."""
    built = []
    monkeypatch.setattr(recognizer_module, "build_detectors", lambda config: built.append(config) or BrightDetector)
    return built
