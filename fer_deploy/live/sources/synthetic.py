"""SyntheticSource: two drawn people who show known expressions, so that the loop runs without a camera or a licence."""

import math
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.sources.base import Source
from fer_deploy.live.sources.drawn import EXPRESSIONS, LOOKS, Expression, blend, draw_face
from fer_deploy.live.sources.drawn.canvas import CENTER, SCALE, SIZE
from fer_deploy.vision.types import Frame

WIDTH, HEIGHT, FPS = 640, 360, 30.0
HOLD_FRAMES: Final = 75
"""How long an expression lasts, with the change to it; all four take 300 frames."""
_CHANGE_FRAMES: Final = 12
_SETTLE_FRAMES: Final = 30
"""From when on an expression counts as shown: after the change, and after what smoothing lags behind."""
_NAMES: Final = tuple(EXPRESSIONS)
_INK: Final = (235, 235, 235)


class DrawnFace(NamedTuple):
    """What is drawn of one person in one frame.

    Attributes:
        x: center of the face, in pixels.
        y: the same.
        size: half the face's width, in pixels.
        label: the expression that is drawn.
        is_settled: whether it has been there long enough for a smoothed answer to be about it.
    """

    x: float
    y: float
    size: float
    label: str
    is_settled: bool


class SyntheticSource(Source):
    """Two drawn faces that drift about, each neutral, happy, surprised and angry in turn; the same on every run."""

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


def drawn_faces(index: int) -> tuple[DrawnFace, ...]:
    """Return the truth about frame number `index`: its faces from left to right."""
    return tuple(_drawn_face(person, index) for person in range(len(LOOKS)))


def draw_scene(background: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """Return frame number `index`, (360, 640, 3) uint8, over a copy of the background."""
    frame = background.copy()
    for person, face in enumerate(drawn_faces(index)):
        _paste(frame, draw_face(LOOKS[person], _expression(person, index)), face)
        _write_truth(frame, face, _truth(person, index))
    return frame


def _drawn_face(person: int, index: int) -> DrawnFace:
    t, phase = index / FPS, 2.1 * person
    x = 180 + 280 * person + 60 * math.sin(0.7 * t + phase)
    y = 160 + 20 * math.sin(1.1 * t + phase)
    is_settled = index % HOLD_FRAMES >= _SETTLE_FRAMES
    return DrawnFace(x, y, 66 + 6 * math.sin(0.5 * t + phase), _NAMES[_turn(person, index)], is_settled)


def _turn(person: int, index: int) -> int:
    """Return which expression it is; two people never show the same one."""
    return (index // HOLD_FRAMES + 2 * person) % len(_NAMES)


def _expression(person: int, index: int) -> Expression:
    turn, num_past = _turn(person, index), index % HOLD_FRAMES
    after = EXPRESSIONS[_NAMES[turn]]
    if not _is_changing(index):
        return after
    return blend(EXPRESSIONS[_NAMES[turn - 1]], after, (num_past + 1) / (_CHANGE_FRAMES + 1))


def _is_changing(index: int) -> bool:
    return index >= HOLD_FRAMES and index % HOLD_FRAMES < _CHANGE_FRAMES


def _truth(person: int, index: int) -> str:
    """Return what is drawn: an expression, or "happy to sad" while it changes."""
    turn = _turn(person, index)
    return f"{_NAMES[turn - 1]} to {_NAMES[turn]}" if _is_changing(index) else _NAMES[turn]


def _background() -> NDArray[np.uint8]:
    ramp = np.linspace(70, 120, HEIGHT, dtype=np.float32)[:, None, None]
    tint = np.array([1.15, 1.05, 0.95], dtype=np.float32)
    return np.broadcast_to(ramp * tint, (HEIGHT, WIDTH, 3)).astype(np.uint8).copy()


def _paste(frame: NDArray[np.uint8], picture: NDArray[np.uint8], face: DrawnFace) -> None:
    """Lay a face of `draw_face` over a frame, which is changed; what lies outside of it is cut off."""
    scale = face.size / SCALE
    left, top = face.x - CENTER[0] * scale, face.y - CENTER[1] * scale
    x1, y1 = max(0, math.floor(left)), max(0, math.floor(top))
    x2, y2 = min(WIDTH, math.ceil(left + SIZE[0] * scale)), min(HEIGHT, math.ceil(top + SIZE[1] * scale))
    move = np.array([[scale, 0, left - x1], [0, scale, top - y1]])
    moved = cv2.warpAffine(picture, move, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR)
    opacity = moved[..., 3:].astype(np.float32) / 255
    under = frame[y1:y2, x1:x2]
    under[...] = np.rint(under + opacity * (moved[..., :3].astype(np.float32) - under)).astype(np.uint8)


def _write_truth(frame: NDArray[np.uint8], face: DrawnFace, truth: str) -> None:
    """Write what is drawn on the shirt, which is changed."""
    text = f"drawn: {truth}"
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    place = round(face.x - width / 2), round(face.y + 1.7 * face.size)
    cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
