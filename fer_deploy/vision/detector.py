"""Detector: the interface of a face detector. `fer_deploy.detectors` implements it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.types import Detection


class Detector(Protocol):
    """Finds faces; each thread has its own."""

    def detect(self, frame_bgr: NDArray[np.uint8], scene_size: tuple[int, int] | None = None) -> list[Detection]:
        """Return the faces in (H, W, 3) uint8, from left to right, each box inside the frame.

        Args:
            frame_bgr: the frame to search.
            scene_size: width and height of the source's first frame. A region in pixels refers to it, since a camera
                that changes its resolution still shows the same scene. None: the size of this frame.
        """
        ...
