"""FaceFinder: the part of a detector that differs between Haar and YuNet; `search` does the rest."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class FoundFaces(NamedTuple):
    """Faces in pixels of one image; they may extend beyond its edges.

    Attributes:
        boxes_xyxy: (N, 4) float.
        scores: (N,) float, 0 to 1.
        landmarks: (N, 5, 2) float as in `Detection.landmarks`, or None if the finder gives none.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None = None


class FaceFinder(Protocol):
    """Finds faces in an image of its working resolution. Used from one thread at a time."""

    @property
    def smallest_face(self) -> int:
        """Longer side of the smallest face that it finds reliably, in pixels; see benchmarks/detectors.py."""
        ...

    @property
    def smallest_gray_face(self) -> int:
        """The same in a gray picture, such as that of a camera in infrared light."""
        ...

    @property
    def largest_picture(self) -> tuple[int, int] | None:
        """Largest width and height that it accepts, or None for any."""
        ...

    def find(self, picture_bgr: NDArray[np.uint8]) -> FoundFaces:
        """Return the faces in (H, W, 3) uint8, in any order."""
        ...
