"""OpenCV's frontal-face Haar cascade (Viola and Jones 2001). Needs only OpenCV 4; misses turned heads."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.detectors.finder import FoundFaces
from fer_deploy.errors import MissingDependencyError

_HAAR_FILE = "haarcascade_frontalface_default.xml"
_WIDTH, _HEIGHT, _DOWN = 0.80, 1.04, 0.025
"""Width, height and downward shift of the face in a Haar square, in sides of the square: medians of YuNet's boxes of
the same faces (263 of FER2013; those of a clip differ by up to 0.04). So boxes of both detectors have the same meaning,
and one crop fits both."""


class HaarFinder:
    """A `FaceFinder` without scores and landmarks."""

    largest_picture = None

    def __init__(
        self, *, scale_factor: float = 1.2, min_neighbors: int = 3, smallest_face: int = 40, equalized: bool = True
    ) -> None:
        """Load the cascade.

        Args:
            scale_factor: step between two sizes searched; nearer to 1 finds more and takes longer.
            min_neighbors: overlapping hits that make a face; a higher value gives fewer false ones.
            smallest_face: side of the smallest square searched, in pixels.
            equalized: equalize the histogram of gray levels before the search.

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
        self.smallest_face = self.smallest_gray_face = smallest_face  # it sees no colors
        self._scale_factor, self._min_neighbors, self._equalized = scale_factor, min_neighbors, equalized

    def find(self, picture_bgr: NDArray[np.uint8]) -> FoundFaces:
        """Return the faces in (H, W, 3) uint8."""
        gray = cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2GRAY)
        if self._equalized:
            cv2.equalizeHist(gray, dst=gray)
        side = self.smallest_face
        found = self._cascade.detectMultiScale(gray, self._scale_factor, self._min_neighbors, minSize=(side, side))
        squares = np.asarray(found, dtype=np.float32).reshape(-1, 4)
        return FoundFaces(_faces_in(squares), np.ones(len(squares), dtype=np.float32))


def _faces_in(squares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return boxes x1, y1, x2, y2 of the faces in squares x, y, side, side."""
    sides = squares[:, 2:]
    middles = squares[:, :2] + sides * np.array([0.5, 0.5 + _DOWN], dtype=np.float32)
    halves = sides * np.array([_WIDTH / 2, _HEIGHT / 2], dtype=np.float32)
    return np.concatenate([middles - halves, middles + halves], axis=1)
