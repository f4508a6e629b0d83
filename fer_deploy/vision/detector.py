"""Detector: what the live loop asks for faces. Those that there are live in `fer_deploy.detectors`."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.types import Detection


class Detector(Protocol):
    """Anything that finds faces; one for each thread."""

    def detect(self, frame_bgr: NDArray[np.uint8], scene_size: tuple[int, int] | None = None) -> list[Detection]:
        """Return the faces in (H, W, 3) uint8, from left to right, each box inside the frame.

        Args:
            frame_bgr: where to look.
            scene_size: width and height of the source's first frame, in whose pixels a region may be given: a camera
                that changes its resolution goes on showing the same scene. None: those of this frame.
        """
        ...
