"""Blend pictures with transparent parts onto gray."""

import cv2
import numpy as np
from numpy.typing import NDArray

NEUTRAL = 128
"""Gray level of the background; its edges do not look like a face."""


def opaque_bgr(picture_bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 4) as (H, W, 3) uint8 BGR; transparent pixels become gray."""
    picture = np.asarray(cv2.cvtColor(picture_bgra, cv2.COLOR_BGRA2BGR), dtype=np.uint8)
    alpha = picture_bgra[..., 3:]
    if alpha.min(initial=255) == 255:
        return picture
    weight = alpha.astype(np.uint16)
    return ((picture * weight + NEUTRAL * (255 - weight) + 127) // 255).astype(np.uint8)
