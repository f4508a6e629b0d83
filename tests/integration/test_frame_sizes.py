"""Frames may change their size at any frame: boxes, numbers and crops follow, live and in recordings."""

import threading

import cv2
import numpy as np
import pytest
from integration.live_fakes import GUARD_S, ScriptedSource, make_pipeline, run_guarded

from fer_deploy.live.sinks import Sink
from fer_deploy.vision.types import Box, Detection, Frame

NUM = 14
SMALL, LARGE, TALL = (96, 54), (320, 180), (180, 240)
SHARE = 0.3
"""Side of the face over the frame's, in both directions."""


def truth(index: int, size: tuple[int, int]) -> Box:
    """A face that walks to the right, in shares of the frame: the scene is the same at all sizes."""
    width, height = size
    left, top = 0.2 + 0.02 * index, 0.3
    return Box(round(left * width), round(top * height), round((left + SHARE) * width), round((top + SHARE) * height))


def picture(index: int, size: tuple[int, int]) -> np.ndarray:
    """A textured face on gray."""
    width, height = size
    frame_bgr = np.full((height, width, 3), 60, dtype=np.uint8)
    box = truth(index, size)
    texture = np.random.default_rng(0).integers(120, 255, (6, 6, 3)).astype(np.uint8)
    face = cv2.resize(texture, (box.x2 - box.x1, box.y2 - box.y1), interpolation=cv2.INTER_CUBIC)
    frame_bgr[box.y1 : box.y2, box.x1 : box.x2] = np.maximum(face, 110)
    return frame_bgr


class WalkSource(ScriptedSource):
    def __init__(self, sizes, *, is_live: bool, on_frame=lambda index: None) -> None:
        super().__init__(len(sizes), is_live=is_live, before=on_frame)
        self._sizes = sizes

    def frames(self):
        for frame in super().frames():
            yield Frame(picture(frame.index, self._sizes[frame.index]), frame.index, frame.time_s, frame.captured_ns)


class BrightDetector:
    """Finds what is bright, as the pixels show it."""

    def detect(self, frame_bgr, scene_size=None):
        rows, columns = np.nonzero(frame_bgr.min(axis=2) > 100)
        if not len(rows):
            return []
        return [Detection(Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1))]


class KeepingSink(Sink):
    live_capacity = 1000

    def __init__(self, on_result=lambda: None) -> None:
        self.results, self._on_result = [], on_result

    def write(self, result, picture):
        self.results.append(result)
        self._on_result()
        return True


def overlap(a: Box, b: Box) -> float:
    width, height = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    shared = max(0, width) * max(0, height)
    return shared / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared)


def sizes_of(pattern: str, change_at: int) -> list[tuple[int, int]]:
    first, second = {
        "shrinks": (LARGE, SMALL),
        "grows": (SMALL, LARGE),
        "turns": (LARGE, TALL),
        "flickers": (LARGE, SMALL),
    }[pattern]
    if pattern == "flickers":
        return [first if index % (change_at + 1) else second for index in range(NUM)]
    return [first if index < change_at else second for index in range(NUM)]


def check(results, sizes, *, least):
    assert [result.frame.index for result in results] == list(range(NUM))
    for result in results:
        width, height = sizes[result.frame.index]
        (face,) = result.faces
        box = face.box
        assert 0 <= box.x1 < box.x2 <= width
        assert 0 <= box.y1 < box.y2 <= height
        assert overlap(box, truth(result.frame.index, (width, height))) > least, result.frame.index
        assert face.face.track_id == 1


@pytest.mark.parametrize("detect_every", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("pattern", ["shrinks", "grows", "turns", "flickers"])
@pytest.mark.parametrize("change_at", range(1, 9))
def test_recording(pattern, change_at, detect_every):
    sizes = sizes_of(pattern, change_at)
    sink = KeepingSink()
    run_guarded(
        make_pipeline(
            WalkSource(sizes, is_live=False),
            [sink],
            detector=BrightDetector,
            detect_every=detect_every,
            crop={"scale": 1.15, "shift": 0.9},
        )
    )
    check(sink.results, sizes, least=0.6)


@pytest.mark.parametrize("detect_every", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("pattern", ["shrinks", "grows", "turns", "flickers"])
@pytest.mark.parametrize("change_at", [1, 2, 3, 4, 7])
def test_live(pattern, change_at, detect_every):
    sizes = sizes_of(pattern, change_at)
    room = threading.Semaphore(1)

    def wait(index: int) -> None:
        assert room.acquire(timeout=GUARD_S)

    sink = KeepingSink(room.release)
    run_guarded(
        make_pipeline(
            WalkSource([*sizes], is_live=True, on_frame=wait),
            [sink],
            detector=BrightDetector,
            detect_every=detect_every,
        )
    )
    check(sink.results, sizes, least=0.4)
