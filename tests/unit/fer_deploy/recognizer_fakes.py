"""Pictures and a detector for the tests of Recognizer."""

import cv2
import numpy as np

from fer_deploy.vision.types import Box, Detection


class BrightDetector:
    """Finds a face of 20x20 wherever a pixel of a 20x20 grid's corner is not black."""

    def detect(self, frame_bgr, scene_size=None):
        corners = np.argwhere(frame_bgr[::20, ::20].max(axis=2) > 0) * 20
        found = [Detection(Box(x, y, x + 20, y + 20)) for y, x in corners.tolist()]
        return sorted(found, key=lambda one: one.box.x1)


def picture_of(*levels, height=40, spread=0):
    """A row of squares of 20x20 on black, which are faces of these gray levels; 0 is none.

    With a spread, they have a pattern that is `spread` brighter and darker: a plain face is unreadable.
    """
    picture = np.zeros((height, 20 * len(levels), 3), dtype=np.uint8)
    for place, level in enumerate(levels):
        square = level + spread * (np.indices((20, 20)).sum(axis=0) // 5 % 2 * 2 - 1) if level else 0
        picture[:20, 20 * place : 20 * place + 20] = np.broadcast_to(square, (20, 20))[..., None]
    return picture


def write(path, picture):
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return path


def boxes_of(faces):
    return [(face.box.x1, face.box.y1, face.box.x2, face.box.y2) for face in faces]
