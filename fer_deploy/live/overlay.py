"""Draw a frame's results on a copy of it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.types import FaceResult, FrameResult

COLORS = (
    (80, 200, 255), (90, 220, 120), (255, 170, 80), (140, 130, 255),
    (230, 130, 220), (120, 230, 230), (215, 215, 215), (180, 160, 60),
)  # fmt: skip
"""Blue-green-red; label number i has color i, and after the last color the first again."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_result(result: FrameResult, labels: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return a copy of the frame, (H, W, 3) uint8 BGR, with a box, label and confidence for each face.

    A label has the same color in every frame; `labels` gives its place in the palette.
    """
    picture = result.frame.frame_bgr.copy()
    for face in result.faces:
        _draw_face(picture, face, COLORS[labels.index(face.emotion.label) % len(COLORS)])
    return picture


def _draw_face(picture: NDArray[np.uint8], face: FaceResult, color: tuple[int, int, int]) -> None:
    box = face.box
    scale = max(0.4, min(0.8, (box.x2 - box.x1) / 220))
    cv2.rectangle(picture, (box.x1, box.y1), (box.x2 - 1, box.y2 - 1), color, 2, cv2.LINE_AA)
    text = f"{face.emotion.label} {face.emotion.confidence:.0%}"
    (width, height), baseline = cv2.getTextSize(text, _FONT, scale, 1)
    bar = height + baseline + 4
    top = box.y1 - bar if box.y1 >= bar else box.y1  # inside the box where there is no room above it
    cv2.rectangle(picture, (box.x1 - 1, top), (box.x1 + width + 5, top + bar), color, -1)
    cv2.putText(picture, text, (box.x1 + 2, top + height + 2), _FONT, scale, (20, 20, 20), 1, cv2.LINE_AA)
