"""Fit pictures of any size into one size."""

import cv2
import numpy as np

from fer_deploy.live.sinks.base import Picture


def fit_picture(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return the picture at (width, height), scaled to fit and centered on black if its aspect ratio differs."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture, inner)
    return canvas
