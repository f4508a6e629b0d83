"""Canvas: soft shapes, painted one over another in units of the face."""

from collections.abc import Sequence
from math import comb
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Color = tuple[float, float, float]
"""Blue, green, red, 0 to 255."""
Points = NDArray[np.float64]
"""(N, 2) places, in half face widths from the center: x to the right, y down."""

SCALE: Final = 84
"""Pixels in a unit."""
CENTER: Final = (126.0, 132.0)
"""Of the face, in pixels of the canvas."""
SIZE: Final = (252, 285)
"""Width and height of the canvas, in pixels."""
_SHIFT: Final = 4
"""Bits behind the point in OpenCV's places."""


class Canvas:
    """A picture of a face, transparent where nothing was painted."""

    def __init__(self) -> None:
        """Begin with nothing."""
        width, height = SIZE
        self._bgr = np.zeros((height, width, 3), np.float32)
        self._alpha = np.zeros((height, width), np.float32)

    def paint(
        self,
        points: Points,
        color: Color,
        strength: float = 1.0,
        *,
        blur: float = 0.0,
        pen: float = 0.0,
        inside: Points | None = None,
        is_solid: bool = False,
    ) -> None:
        """Paint a polygon, or a line where `pen` is given.

        Args:
            points: corners of the polygon, or of the line.
            color: of the paint.
            strength: 0 to 1, how much it covers.
            blur: standard deviation of its edge, in units.
            pen: thickness of the line, in units; 0: a filled polygon.
            inside: another polygon, outside of which nothing is painted.
            is_solid: whether the picture becomes opaque there.
        """
        if strength <= 0:
            return
        left, top, right, bottom = self._region(points, 3 * blur + pen)
        if left >= right or top >= bottom:
            return
        origin, size = (left, top), (right - left, bottom - top)
        mask = _mask(points, origin, size, blur=blur, pen=pen) * np.float32(strength)
        if inside is not None:
            mask *= _mask(inside, origin, size)
        under = self._bgr[top:bottom, left:right]
        under += mask[..., None] * (np.array(color, np.float32) - under)
        if is_solid:
            alpha = self._alpha[top:bottom, left:right]
            np.maximum(alpha, mask, out=alpha)

    def shade_rim(self, outline: Points, middle: Points, color: Color, strength: float, *, blur: float) -> None:
        """Paint what is inside of `outline` and outside of `middle`, whose edge is soft."""
        whole = (0, 0), SIZE
        mask = np.clip(_mask(outline, *whole) - _mask(middle, *whole, blur=blur), 0, 1) * np.float32(strength)
        self._bgr += mask[..., None] * (np.array(color, np.float32) - self._bgr)

    def bgra(self) -> NDArray[np.uint8]:
        """Return (H, W, 4) uint8: blue, green, red, opacity."""
        whole = np.dstack([np.clip(self._bgr, 0, 255), self._alpha * 255])
        return np.rint(whole).astype(np.uint8)

    @staticmethod
    def _region(points: Points, margin: float) -> tuple[int, int, int, int]:
        low = (points.min(axis=0) - margin) * SCALE + CENTER - 2
        high = (points.max(axis=0) + margin) * SCALE + CENTER + 3
        return max(0, int(low[0])), max(0, int(low[1])), min(SIZE[0], int(high[0])), min(SIZE[1], int(high[1]))


def _mask(
    points: Points, origin: tuple[int, int], size: tuple[int, int], *, blur: float = 0.0, pen: float = 0.0
) -> NDArray[np.float32]:
    mask = np.zeros((size[1], size[0]), np.uint8)
    places = np.rint((points * SCALE + CENTER - origin) * 2**_SHIFT).astype(np.int32)
    if pen:
        cv2.polylines(mask, [places], False, (255,), max(1, round(pen * SCALE)), cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(mask, [places], (255,), cv2.LINE_AA, _SHIFT)
    if blur:
        cv2.GaussianBlur(mask, (0, 0), blur * SCALE, dst=mask)
    return mask.astype(np.float32) / np.float32(255)


def curve(*corners: tuple[float, float], num: int = 24) -> Points:
    """Return points of the Bezier curve from the first corner to the last, towards those between."""
    degree, t = len(corners) - 1, np.linspace(0, 1, num)
    weights = [comb(degree, i) * t**i * (1 - t) ** (degree - i) for i in range(degree + 1)]
    return np.stack(weights, axis=1) @ np.array(corners, np.float64)


def joined(*parts: Points | Sequence[tuple[float, float]]) -> Points:
    """Return the points of all parts, one after another."""
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def oval(x: float, y: float, half_width: float, half_height: float) -> Points:
    """Return the outline of an ellipse."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + half_width * np.cos(t), y + half_height * np.sin(t)], axis=1)


def tone(color: Color, factor: float) -> Color:
    """Return a color, darker or brighter by a factor."""
    blue, green, red = (min(255.0, part * factor) for part in color)
    return blue, green, red
