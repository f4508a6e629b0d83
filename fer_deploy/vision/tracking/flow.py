"""Locate a face in a later frame by the optical flow of its patch (Lucas and Kanade 1981, pyramid by Bouguet)."""

from typing import NamedTuple

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
_MOST_SCALE = 1.25  # a face does not grow more than this while no detector looks
_LEAST_POINTS = 0.5  # share of the points that must agree on one motion
_MIDDLE = complex(PATCH_SIDE / 2, PATCH_SIDE / 2)
_OFFSETS = np.linspace(-0.27, 0.27, 4) * PATCH_SIDE / _SPAN
_POINTS = (PATCH_SIDE / 2 + np.stack(np.meshgrid(_OFFSETS, _OFFSETS), axis=-1).reshape(-1, 2)).astype(np.float32)


class Shift(NamedTuple):
    """How a face moved: a point x + iy goes to `turn` * (x + iy) + `offset`; abs(turn) is how much it grew."""

    turn: complex
    offset: complex

    def of(self, point: Point) -> Point:
        """Return where a point goes."""
        moved = self.turn * complex(*point) + self.offset
        return moved.real, moved.imag


def patch_from_frame(frame_bgr: NDArray[np.uint8], place: Place) -> NDArray[np.uint8]:
    """Return the surroundings of a place as (PATCH_SIDE, PATCH_SIDE) uint8 gray; edge pixels fill what is outside."""
    zoom, middle = _zoom(place), PATCH_SIDE / 2
    to_patch = np.array([[zoom, 0, middle - zoom * place[0]], [0, zoom, middle - zoom * place[1]]])
    patch_bgr = cv2.warpAffine(frame_bgr, to_patch, (PATCH_SIDE, PATCH_SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(patch_bgr, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def shift_of_patch(
    patch_gray: NDArray[np.uint8], seen_at: Place, frame_bgr: NDArray[np.uint8], expected_at: Place
) -> Shift | None:
    """Return how the face moved, in pixels of the frame, since its patch was cut; None if the flow is unreliable.

    Args:
        patch_gray: the patch from `patch_from_frame`.
        seen_at: where the patch was cut.
        frame_bgr: (H, W, 3) uint8, the frame to search.
        expected_at: approximate place of the face now; an error of up to a third of a face is tolerated.
    """
    now_gray = patch_from_frame(frame_bgr, expected_at)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        patch_gray, now_gray, _POINTS, np.empty_like(_POINTS), winSize=_WINDOW, maxLevel=1, criteria=_STOP
    )
    followed = status[:, 0] == 1
    if np.count_nonzero(followed) < _LEAST_POINTS * len(_POINTS):
        return None
    moved, agreed = cv2.estimateAffinePartial2D(
        _POINTS[followed], found[followed], ransacReprojThreshold=1.0, maxIters=50
    )
    if moved is None or np.count_nonzero(agreed) < _LEAST_POINTS * len(_POINTS):
        return None
    (cosine, _, x), (sine, _, y) = moved.tolist()
    shift = Shift(complex(cosine, sine), complex(x, y))
    is_near = abs(shift.turn * _MIDDLE + shift.offset - _MIDDLE) < PATCH_SIDE / 2
    return (
        _in_frame(shift, seen_at, expected_at) if is_near and 1 / _MOST_SCALE < abs(shift.turn) < _MOST_SCALE else None
    )


def _zoom(place: Place) -> float:
    return PATCH_SIDE / (_SPAN * max(place[2:]))


def _in_frame(shift: Shift, seen_at: Place, expected_at: Place) -> Shift:
    """Convert a shift between two patches into one between their frames."""
    zoom_now = _zoom(expected_at)
    middle_now = complex(*expected_at[:2]) + (shift.turn * _MIDDLE + shift.offset - _MIDDLE) / zoom_now
    turn = shift.turn * _zoom(seen_at) / zoom_now
    return Shift(turn, middle_now - turn * complex(*seen_at[:2]))
