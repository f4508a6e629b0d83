"""Draw a frame's results on a copy of it: boxes, who it is, what they show, and a small chart where there is room."""

import threading
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.drawing.chart import Chart, build_chart, color_of
from fer_deploy.live.drawing.tags import overlap, place_tags
from fer_deploy.vision.palette import INK, UNREADABLE_COLOR, UNSURE_COLOR, UNSURE_INK, bgr_from_hex
from fer_deploy.vision.types import Box, FaceResult, FrameResult

_UNSURE, _UNREADABLE = bgr_from_hex(UNSURE_COLOR), bgr_from_hex(UNREADABLE_COLOR)
_INK, _UNSURE_INK = bgr_from_hex(INK), bgr_from_hex(UNSURE_INK)
_HIGHEST_CHART = 2.5
"""In heights of the face's box: a chart that is higher hides whose it is."""


class Drawing:
    """The annotated picture of one result, drawn when first asked for and once, however many threads ask."""

    def __init__(self, result: FrameResult, labels: tuple[str, ...]) -> None:
        """Take what `draw_result` takes; nothing is drawn yet."""
        self._result, self._labels = result, labels
        self._lock = threading.Lock()
        self._picture: NDArray[np.uint8] | None = None

    def picture(self) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 BGR, the same read-only array at every call, from any thread."""
        with self._lock:
            if self._picture is None:
                self._picture = draw_result(self._result, self._labels)
            return self._picture


class Style(NamedTuple):
    """Sizes that follow the frame, in pixels unless said otherwise.

    Attributes:
        font: OpenCV's scale of letters.
        line: thickness of boxes.
        gap: between things.
        dash: length of a dash and of the space behind it.
    """

    font: float
    line: int
    gap: int
    dash: int


def style_of(width: int, height: int) -> Style:
    """Return sizes for a frame: legible at 480x270, and growing more slowly than the frame does."""
    unit = max(0.9, min(width / 480, height / 270) ** 0.6)
    return Style(0.42 * unit, round(1.6 * unit), round(3 * unit), round(5 * unit))


def draw_result(result: FrameResult, labels: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return a copy of the frame, (H, W, 3) uint8 BGR and read-only, with everything known about its faces.

    Each face has a box (dashed where it is predicted, not detected) and a tag with person, shown label and smoothed
    confidence, gray where it is unsure, brown where it is unreadable; beside it, unless it is unreadable, the smoothed
    probabilities. Tags and charts cover no other face and not one another; what finds no room is left out. A label has
    the same color in every frame; `labels` gives its place in the palette.
    """
    picture = result.frame.frame_bgr.copy()
    height, width = picture.shape[:2]
    style = style_of(width, height)
    chart = build_chart(labels, style.font)
    colors = [_color_of(face, labels) for face in result.faces]
    for face, color in zip(result.faces, colors, strict=True):
        _draw_box(picture, face, color, style)
    tags = place_tags(result.faces, (width, height), font=style.font, gap=style.gap)
    taken = [face.box for face in result.faces] + [tag.place for tag in tags if tag is not None]
    for tag, face, color in zip(tags, result.faces, colors, strict=True):
        if tag is not None:
            tag.draw(picture, color, _INK if face.is_sure else _UNSURE_INK)
    for face, color in zip(result.faces, colors, strict=True):
        place = _room_beside(face.box, chart, taken, (width, height), style.gap) if face.is_readable else None
        if place is not None:
            taken.append(place)
            chart.draw(picture, (place.x1, place.y1), face.smoothed.probs, color)
    picture.flags.writeable = False
    return picture


def _color_of(face: FaceResult, labels: tuple[str, ...]) -> tuple[int, int, int]:
    if not face.is_readable:
        return _UNREADABLE
    return color_of(face.smoothed.label, labels) if face.is_sure else _UNSURE


def _draw_box(picture: NDArray[np.uint8], face: FaceResult, color: tuple[int, int, int], style: Style) -> None:
    left, top, right, bottom = face.box.x1, face.box.y1, face.box.x2 - 1, face.box.y2 - 1
    if not face.is_sure:  # its color is dark: a light line within, or between the dashes, shows it on dark pictures
        inset = 1 + style.line // 2 if face.face.is_detected else 0
        cv2.rectangle(picture, (left + inset, top + inset), (right - inset, bottom - inset), _UNSURE_INK, 1)
    if face.face.is_detected:
        cv2.rectangle(picture, (left, top), (right, bottom), color, style.line)
        return
    thin = max(1, style.line - 1)
    for x in range(left, right + 1, 2 * style.dash):
        for y in (top, bottom):
            cv2.line(picture, (x, y), (min(x + style.dash, right), y), color, thin)
    for y in range(top, bottom + 1, 2 * style.dash):
        for x in (left, right):
            cv2.line(picture, (x, y), (x, min(y + style.dash, bottom)), color, thin)


def _room_beside(box: Box, chart: Chart, taken: list[Box], size: tuple[int, int], gap: int) -> Box | None:
    """Return a place for the chart right, left or below, inside the frame and on nothing else, or None."""
    if chart.height > _HIGHEST_CHART * (box.y2 - box.y1):
        return None
    right, left, below = box.x2 + gap, box.x1 - gap - chart.width, box.y2 + gap
    beside = [(x, y) for x in (right, left) for y in (box.y1, max(box.y1, box.y2 - chart.height))]
    beside += [(x, below) for x in (box.x1, max(0, box.x2 - chart.width))]
    for x, y in beside:
        top = min(y, size[1] - chart.height)
        place = Box(x, top, x + chart.width, top + chart.height)
        is_inside = x >= 0 and top >= 0 and place.x2 <= size[0]
        if is_inside and not any(overlap(place, other) for other in taken):
            return place
    return None
