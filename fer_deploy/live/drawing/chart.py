"""Chart: bars of one face's probabilities, drawn into a picture."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.drawing.tags import FONT, SMALLEST_FONT, drawn_label, pen_of, shortened
from fer_deploy.vision.palette import COLORS, bgr_from_hex
from fer_deploy.vision.probabilities import Probabilities

_BGR = tuple(bgr_from_hex(color) for color in COLORS)
_BAR_LENGTH = 5
"""Of a bar for 100 %, in heights of a letter."""
_SHADE = 0.3
"""What is left of the picture's brightness behind a chart."""


def color_of(label: str, labels: tuple[str, ...]) -> tuple[int, int, int]:
    """Return a label's color, BGR; the same in every frame."""
    return _BGR[labels.index(label) % len(_BGR)]


class Chart:
    """A panel with a row a label. Its letters are drawn once, its bars for every face.

    Attributes:
        width: in pixels.
        height: in pixels.
    """

    def __init__(self, labels: tuple[str, ...], font: float) -> None:
        """Lay it out.

        Args:
            labels: one a row, from above.
            font: OpenCV's scale of the letters beside it; those in the chart are smaller.
        """
        self._labels = labels
        scale = max(SMALLEST_FONT, 0.8 * font)
        pen = pen_of(scale)
        texts = [shortened(drawn_label(label, labels)) for label in labels]
        sizes = [cv2.getTextSize(text, FONT, scale, pen)[0] for text in texts]
        letter_height = max(height for _, height in sizes)
        self._pad = max(2, letter_height // 2)
        self._row = letter_height + self._pad
        self._bar_left = max(width for width, _ in sizes) + 2 * self._pad
        self._bar_width = _BAR_LENGTH * letter_height
        self.width = self._bar_left + self._bar_width + self._pad
        self.height = len(labels) * self._row + self._pad
        self._letters = np.zeros((self.height, self.width), dtype=np.uint8)
        for row, text in enumerate(texts):
            foot = self._pad + row * self._row + letter_height
            cv2.putText(self._letters, text, (self._pad, foot), FONT, scale, (255,), pen, cv2.LINE_AA)
        self._bar_height = letter_height

    def draw(
        self, picture: NDArray[np.uint8], at: tuple[int, int], probs: Probabilities, edge: tuple[int, int, int]
    ) -> None:
        """Draw it into a picture, (H, W, 3) uint8 BGR, inside of which it must lie.

        Args:
            picture: is changed.
            at: x and y of its upper left corner.
            probs: (C,) of the chart's labels.
            edge: color of its left edge, BGR, that of the face's box.
        """
        panel: Any = picture[at[1] : at[1] + self.height, at[0] : at[0] + self.width]
        cv2.convertScaleAbs(panel, dst=panel, alpha=_SHADE)
        cv2.add(panel, cv2.cvtColor(self._letters, cv2.COLOR_GRAY2BGR), dst=panel)
        panel[:, : self._pad // 2] = edge
        for row, (label, prob) in enumerate(zip(self._labels, map(float, probs), strict=True)):
            top = self._pad + row * self._row
            length = round(prob * self._bar_width)
            corner = (self._bar_left + max(0, length - 1), top + self._bar_height - 1)
            cv2.rectangle(panel, (self._bar_left, top), corner, color_of(label, self._labels), -1)


@lru_cache(maxsize=8)
def build_chart(labels: tuple[str, ...], font: float) -> Chart:
    """Return the chart for these labels and size; the same one for every frame of a size."""
    return Chart(labels, font)
