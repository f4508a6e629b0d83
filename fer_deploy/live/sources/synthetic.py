"""SyntheticSource: moving drawn faces that a Haar cascade finds, so that the loop runs without camera or licence."""

import math
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.sources.base import Source
from fer_deploy.vision.types import Frame

WIDTH, HEIGHT, FPS = 640, 360, 30.0
_SKIN, _SHADE, _EYE, _BROW, _LIP = (150, 178, 214), (88, 112, 150), (30, 30, 35), (34, 40, 52), (60, 62, 140)


class SyntheticSource(Source):
    """Two cartoon faces that drift about and change their expression; endless, the same on every run."""

    is_live = False
    fps = FPS
    name = "synthetic"

    def frames(self) -> Iterator[Frame]:
        """Yield frames of 640x360 until `stop`, as fast as they are asked for."""
        background = _background()
        index = 0
        while not self._stopped.is_set():
            yield Frame(draw_scene(background, index), index, index / FPS, time.monotonic_ns())
            index += 1


def draw_scene(background: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """Return frame number `index`, (360, 640, 3) uint8, over a copy of the background."""
    frame = background.copy()
    t = index / FPS
    for person in range(2):
        phase = person * 2.1
        x = 180 + 280 * person + 60 * math.sin(0.7 * t + phase)
        y = 180 + 30 * math.sin(1.1 * t + phase)
        _draw_face(frame, x, y, size=62 + 10 * math.sin(0.5 * t + phase), mood=math.sin(0.9 * t + phase))
    return frame


def _background() -> NDArray[np.uint8]:
    ramp = np.linspace(70, 120, HEIGHT, dtype=np.float32)[:, None, None]
    tint = np.array([1.15, 1.05, 0.95], dtype=np.float32)
    return np.broadcast_to(ramp * tint, (HEIGHT, WIDTH, 3)).astype(np.uint8).copy()


def _draw_face(frame: NDArray[np.uint8], x: float, y: float, *, size: float, mood: float) -> None:
    """Draw one face.

    Args:
        frame: drawn upon, BGR.
        x: center, in pixels.
        y: center, in pixels.
        size: half the face's width, in pixels.
        mood: -1 frowns, 0 rests, 1 smiles.
    """

    def at(u: float, v: float) -> tuple[int, int]:
        return round(x + u * size), round(y + v * size)

    def oval(u: float, v: float, half_width: float, half_height: float, color: tuple[int, int, int]) -> None:
        axes = (max(1, round(half_width * size)), max(1, round(half_height * size)))
        cv2.ellipse(frame, at(u, v), axes, 0, 0, 360, color, -1, cv2.LINE_AA)

    oval(0, -0.25, 1.08, 1.25, _BROW)  # hair
    oval(0, 0.1, 0.95, 1.25, _SKIN)
    for side in (-1, 1):
        oval(side * 0.42, -0.16, 0.30, 0.17, _SHADE)  # eye sockets: what the cascade's first features look for
        oval(side * 0.42, -0.12, 0.20, 0.10, (235, 235, 235))
        oval(side * 0.42, -0.12, 0.10, 0.10, _EYE)
        inner, outer = at(side * 0.20, -0.36 + 0.10 * max(0.0, -mood)), at(side * 0.66, -0.38)
        cv2.line(frame, inner, outer, _BROW, max(2, round(0.09 * size)), cv2.LINE_AA)
    oval(0, 0.22, 0.10, 0.28, (165, 192, 226))  # bridge of the nose, brighter than the sockets
    oval(0, 0.46, 0.20, 0.07, _SHADE)
    _draw_mouth(frame, at, size, mood)


def _draw_mouth(
    frame: NDArray[np.uint8], at: Callable[[float, float], tuple[int, int]], size: float, mood: float
) -> None:
    u = np.linspace(-0.42, 0.42, 15)
    upper = 0.80 - 0.18 * mood * (u / 0.42) ** 2 + 0.08 * mood
    opening = 0.06 + 0.14 * max(0.0, mood)
    lower = upper + opening * (1 - (u / 0.42) ** 2)
    outline = [at(a, b) for a, b in zip(u, upper, strict=True)] + [
        at(a, b) for a, b in zip(u[::-1], lower[::-1], strict=True)
    ]
    cv2.fillPoly(frame, [np.array(outline, dtype=np.int32)], (60, 50, 90), cv2.LINE_AA)
    cv2.polylines(frame, [np.array(outline, dtype=np.int32)], True, _LIP, max(2, round(0.05 * size)), cv2.LINE_AA)
