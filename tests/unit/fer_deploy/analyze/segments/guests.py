"""A clip of bright squares that come, go, come back and cross, and what finds and judges them."""

from pathlib import Path

import numpy as np
from integration.analyze_videos import FPS, SIZE, SquareDetector

from fer_deploy.analyze.models import Models
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live.sinks.video.codecs import choose_encoding
from fer_deploy.live.sinks.video.encoder import VideoEncoder
from fer_deploy.vision.types import Box, Detection

NUM = 150
VISITS = {0: [(0, 150)], 1: [(10, 40), (55, 60), (80, 150)], 2: [(30, 70), (130, 150)]}
"""Frames in which each is there; the second is away for less than `keep_s`, the third for more."""


def picture(index: int) -> np.ndarray:
    frame = np.full((SIZE[1], SIZE[0], 3), 20, dtype=np.uint8)
    for number, visits in VISITS.items():
        if any(first <= index < end for first, end in visits):
            x = 6 + 40 * number + round(12 * np.sin(0.17 * index + number))
            y = 10 + 20 * number + round(9 * np.cos(0.13 * index + 2 * number))
            frame[y : y + 24, x : x + 24] = 140 + round(90 * np.sin(0.11 * index + 1.7 * number))
    return frame


def write_guests(path: Path) -> Path:
    encoder = VideoEncoder(path, size=SIZE, fps=FPS, is_live=False, encoding=choose_encoding("x264"))
    for index in range(NUM):
        encoder.add(picture(index), index / FPS)
    encoder.close()
    return path


class LandmarkDetector(SquareDetector):
    """Gives scores and landmarks too, and the first face twice: tracking leaves the worse one out."""

    def detect(self, frame_bgr: np.ndarray, scene_size: object = None) -> list[Detection]:
        found = [self._with_landmarks(one.box) for one in super().detect(frame_bgr)]
        return [Detection(found[0].box, found[0].score / 2, found[0].landmarks), *found] if found else []

    @staticmethod
    def _with_landmarks(box: Box) -> Detection:
        width, height = box.x2 - box.x1, box.y2 - box.y1
        places = ((0.3, 0.35), (0.7, 0.35), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
        a, b, c, d, e = ((box.x1 + across * width, box.y1 + down * height) for across, down in places)
        return Detection(box, 0.1 + (box.x1 + box.y1) / 7e2, (a, b, c, d, e))


def make_guest_models(engine_file: Path) -> Models:
    engine_file.write_bytes(b"stands for a model")
    return Models(FakeEngine(), engine_file, LandmarkDetector, None, "squares")
