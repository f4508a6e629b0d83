"""Find faces in a frame."""

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import ConfigError, MissingDependencyError
from fer_deploy.vision.types import Box, Detection

_HAAR_FILE = "haarcascade_frontalface_default.xml"


class Detector(Protocol):
    """Anything that finds faces; used from one thread at a time."""

    def detect(self, frame_bgr: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in (H, W, 3) uint8, from left to right, each box inside the frame."""
        ...


class HaarDetector:
    """OpenCV's frontal-face Haar cascade (Viola and Jones 2001). Needs nothing but OpenCV 4; misses turned heads."""

    def __init__(self, *, scale_factor: float = 1.1, min_neighbors: int = 5, min_size: int = 40) -> None:
        """Load the cascade.

        Args:
            scale_factor: step between two sizes searched; nearer to 1 finds more and takes longer.
            min_neighbors: overlapping hits that make a face; higher means fewer false ones.
            min_size: side of the smallest face in pixels.

        Raises:
            MissingDependencyError: OpenCV 5, which has no Haar cascades.
        """
        if not hasattr(cv2, "CascadeClassifier"):
            raise MissingDependencyError(
                f"the Haar detector needs OpenCV 4; this is {cv2.__version__}. Fix: pip install 'opencv-python<5'"
            )
        self._cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _HAAR_FILE))
        if self._cascade.empty():
            raise MissingDependencyError(
                f"OpenCV {cv2.__version__} lacks {_HAAR_FILE}. Fix: pip install --force-reinstall 'opencv-python<5'"
            )
        self._scale_factor, self._min_neighbors, self._min_size = scale_factor, min_neighbors, min_size

    def detect(self, frame_bgr: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in (H, W, 3) uint8, from left to right."""
        found = self._cascade.detectMultiScale(
            cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2GRAY), self._scale_factor, self._min_neighbors, minSize=(self._min_size, self._min_size)
        )
        boxes = (Box(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h in found)
        return [Detection(box) for box in sorted(boxes, key=lambda box: (box.x1, box.y1))]


DETECTORS = {"haar": HaarDetector}


def build_detector(name: str) -> Detector:
    """Return a detector by name.

    Raises:
        ConfigError: unknown name.
    """
    if name not in DETECTORS:
        raise ConfigError(f"unknown detector {name!r}. Known detectors: {', '.join(DETECTORS)}")
    return DETECTORS[name]()
