"""FaceSearch: run a finder in a region, at the resolution of the smallest face, and return the largest faces."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.detectors.finder import FaceFinder, FoundFaces
from fer_deploy.detectors.region import Region, pixels_of
from fer_deploy.vision.types import Box, Detection

USEFUL_FACE = 24
"""Pixels; a smaller face has less than half the resolution of the classifier's training faces."""
FRAME_SHARE = 1 / 20
"""Share of the frame's shorter side; smaller faces are background in a frame of this resolution."""


_SAMPLED = 8
"""Every how many-th row and column is looked at."""
_GRAY_DIFFERENCE, _GRAY_PIXELS = 6, 0.98
"""A pixel is gray if its colors differ by at most so much; a picture, if so many of its pixels are: a colored clock in
a corner does not count."""


def is_gray(picture_bgr: NDArray[np.uint8]) -> bool:
    """Return whether a picture (H, W, 3) uint8 has no colors."""
    some = picture_bgr[::_SAMPLED, ::_SAMPLED].astype(np.int16)
    differences = some.max(axis=2) - some.min(axis=2)
    return bool((differences <= _GRAY_DIFFERENCE).mean() >= _GRAY_PIXELS)


class FaceSearch:
    """A `Detector`: scales the frame for the finder and maps its faces back. Each thread has its own."""

    def __init__(
        self,
        finder: FaceFinder,
        *,
        min_face: int | None = None,
        roi: Region | None = None,
        max_faces: int | None = None,
    ) -> None:
        """Create a search with its own finder.

        Args:
            finder: searches the scaled frame.
            min_face: longer side in pixels of the frame; smaller faces are left out. None: every face found at the
                resolution for faces of `USEFUL_FACE` or `FRAME_SHARE`.
            roi: region to search; None: the whole frame.
            max_faces: return at most this many, the largest; None: all.
        """
        self._finder, self._min_face, self._roi, self._max_faces = finder, min_face, roi, max_faces
        self._scaled = np.empty((0, 0, 3), dtype=np.uint8)

    def detect(self, frame_bgr: NDArray[np.uint8], scene_size: tuple[int, int] | None = None) -> list[Detection]:
        """Return the faces in (H, W, 3) uint8, from left to right, boxes inside the frame.

        Args:
            frame_bgr: the frame to search.
            scene_size: see `Detector.detect`.

        Raises:
            ConfigError: the region has no pixel in a frame of `scene_size`.
        """
        height, width = frame_bgr.shape[:2]
        x, y, x2, y2 = (0, 0, width, height)
        if self._roi is not None:
            x, y, x2, y2 = pixels_of(self._roi, (width, height), scene_size or (width, height))
        found = self._find(frame_bgr[y:y2, x:x2], min(height, width))
        if len(found.boxes_xyxy) == 0:
            return []
        return self._detections(found, (x, y), (width, height))

    def _find(self, picture_bgr: NDArray[np.uint8], shorter_side: int) -> FoundFaces:
        """Return faces in pixels of the image, found in a smaller copy if that suffices."""
        height, width = picture_bgr.shape[:2]
        wanted = self._min_face or max(USEFUL_FACE, shorter_side * FRAME_SHARE)
        smallest = self._finder.smallest_gray_face if is_gray(picture_bgr) else self._finder.smallest_face
        scale = min(1.0, smallest / wanted)
        if self._finder.largest_picture is not None:
            scale = min(scale, self._finder.largest_picture[0] / width, self._finder.largest_picture[1] / height)
        if scale == 1.0:
            return self._finder.find(picture_bgr)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if self._scaled.shape[1::-1] != size:
            self._scaled = np.empty((size[1], size[0], 3), dtype=np.uint8)
        # INTER_AREA finds no more faces and takes four to six times as long.
        cv2.resize(picture_bgr, size, dst=self._scaled, interpolation=cv2.INTER_LINEAR)
        found = self._finder.find(self._scaled)
        back = np.array([width / size[0], height / size[1]], dtype=np.float32)
        landmarks = None if found.landmarks is None else found.landmarks * back
        return FoundFaces(found.boxes_xyxy * np.tile(back, 2), found.scores, landmarks)

    def _detections(self, found: FoundFaces, offset: tuple[int, int], frame_size: tuple[int, int]) -> list[Detection]:
        boxes = found.boxes_xyxy + np.array([*offset, *offset], dtype=np.float32)
        sizes = boxes[:, 2:] - boxes[:, :2]
        limits = np.array([*frame_size, *frame_size], dtype=np.float32)
        rounded = np.clip(np.rint(boxes), 0, limits).astype(np.intp)
        kept = np.flatnonzero((rounded[:, 2] > rounded[:, 0]) & (rounded[:, 3] > rounded[:, 1]))
        if self._min_face is not None:
            kept = kept[sizes[kept].max(axis=1) >= self._min_face]
        if self._max_faces is not None:
            kept = kept[np.argsort(-sizes[kept].prod(axis=1), kind="stable")[: self._max_faces]]
        kept = kept[np.lexsort((rounded[kept, 1], rounded[kept, 0]))]
        corners, scores = rounded[kept].tolist(), found.scores[kept].tolist()
        if found.landmarks is None:
            return [Detection(Box(*box), score) for box, score in zip(corners, scores, strict=True)]
        landmarks = (found.landmarks[kept] + np.array(offset, dtype=np.float32)).tolist()
        return [
            Detection(Box(*box), score, ((a[0], a[1]), (b[0], b[1]), (c[0], c[1]), (d[0], d[1]), (e[0], e[1])))
            for box, score, (a, b, c, d, e) in zip(corners, scores, landmarks, strict=True)
        ]
