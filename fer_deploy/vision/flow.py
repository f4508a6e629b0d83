"""Find a face again in a later frame by the optical flow of its patch (Lucas and Kanade 1981, pyramid by Bouguet)."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.types import Point

Place = tuple[float, float, float, float]
"""Center x, center y, width, height; pixels of the frame."""

PATCH_SIDE = 48
_SPAN = 1.7  # side of the patch over the longer side of the face: room for motion
_WINDOW = (13, 13)
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
_MOST_SCALE = 1.25  # a face does not grow more than this between two frames of a stream
_LEAST_POINTS = 0.5  # share of the points that must agree on one motion
_MIDDLE = PATCH_SIDE / 2
_GRID = np.linspace(-0.3, 0.3, 4)


def _zoom(place: Place) -> float:
    return PATCH_SIDE / (_SPAN * max(place[2:]))


def patch_from_frame(frame_bgr: NDArray[np.uint8], place: Place) -> NDArray[np.uint8]:
    """Return the surroundings of a place as (PATCH_SIDE, PATCH_SIDE) uint8 gray; beyond the frame its edge goes on."""
    zoom = _zoom(place)
    to_patch = np.array([[zoom, 0, _MIDDLE - zoom * place[0]], [0, zoom, _MIDDLE - zoom * place[1]]])
    patch_bgr = cv2.warpAffine(frame_bgr, to_patch, (PATCH_SIDE, PATCH_SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(patch_bgr, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def shift_of_patch(
    patch_gray: NDArray[np.uint8], seen_at: Place, frame_bgr: NDArray[np.uint8], expected_at: Place
) -> NDArray[np.float64] | None:
    """Return how the face moved since its patch was taken, or None where the picture does not tell.

    Args:
        patch_gray: as `patch_from_frame` cut it.
        seen_at: where it was cut.
        frame_bgr: (H, W, 3) uint8, the frame to search.
        expected_at: about where the face is now; up to a third of a face beside it is found.

    Returns:
        (2, 3) float64: shift, turn and scale that take pixels of the earlier frame to those of this one.
    """
    offsets = np.stack(np.meshgrid(_GRID * seen_at[2], _GRID * seen_at[3]), axis=-1).reshape(-1, 2)
    points = (_MIDDLE + offsets * _zoom(seen_at)).astype(np.float32)
    now_gray = patch_from_frame(frame_bgr, expected_at)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        patch_gray, now_gray, points, np.empty_like(points), winSize=_WINDOW, maxLevel=1, criteria=_STOP
    )
    followed = status[:, 0] == 1
    if followed.mean() < _LEAST_POINTS:
        return None
    moved, agreed = cv2.estimateAffinePartial2D(
        points[followed], found[followed], ransacReprojThreshold=1.0, maxIters=50
    )
    if moved is None or agreed.sum() < _LEAST_POINTS * len(points):
        return None
    scale = math.hypot(moved[0, 0], moved[1, 0])
    off = np.hypot(*(moved[:, :2].sum(axis=1) * _MIDDLE + moved[:, 2] - _MIDDLE))
    if not 1 / _MOST_SCALE < scale < _MOST_SCALE or off > PATCH_SIDE / 2:
        return None
    return _in_frame(moved, seen_at, expected_at)


def _in_frame(moved: NDArray[np.float64], seen_at: Place, expected_at: Place) -> NDArray[np.float64]:
    """Return a motion between two patches as one between their frames."""
    linear = moved[:, :2] * (_zoom(seen_at) / _zoom(expected_at))
    middle_now = (moved[:, :2].sum(axis=1) * _MIDDLE + moved[:, 2] - _MIDDLE) / _zoom(expected_at) + expected_at[:2]
    return np.column_stack([linear, middle_now - linear @ np.array(seen_at[:2])])


def shifted(point: Point, shift: NDArray[np.float64]) -> Point:
    """Return where a (2, 3) motion takes a point."""
    x, y = shift[:, :2] @ np.array(point) + shift[:, 2]
    return float(x), float(y)
