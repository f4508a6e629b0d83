"""Estimate the pose of a head from a detector's five landmarks. It is coarse: five points, and a face of average shape.

Measured on projected landmarks of 5,000 heads (shapes that differ by 3 mm, landmarks that are off by 2 % of the face,
lenses of 40 to 90 degrees): see `tests/unit/fer_deploy/vision/test_head_pose.py` for the errors.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.quality import HeadPose
from fer_deploy.vision.types import Detection

FACE_MM: Final[NDArray[np.float64]] = np.array(
    [(-31.5, -34.0, 28.0), (31.5, -34.0, 28.0), (0.0, 0.0, 0.0), (-25.0, 32.0, 22.0), (25.0, 32.0, 22.0)]
)
"""Right eye, left eye, tip of the nose, corners of the mouth of an average adult (5, 3), in millimeters from the tip of
the nose. x goes to the image's right, y down, z away from the camera."""
_LONGER_SIDES: Final = 1.0
"""Assumed focal length, in longer sides of the frame: a lens of 53 degrees."""


def head_pose(detection: Detection, frame_size: tuple[int, int]) -> HeadPose | None:
    """Return the pose of a head; None without landmarks, or where no pose explains them.

    Args:
        detection: with landmarks.
        frame_size: width and height of the frame in pixels.
    """
    if detection.landmarks is None:
        return None
    width, height = frame_size
    points = np.array(detection.landmarks, dtype=np.float64)
    focal = _LONGER_SIDES * max(width, height)
    camera = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    try:
        is_found, turn, _ = cv2.solvePnP(FACE_MM, points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:
        return None
    if not is_found or not np.isfinite(turn).all():
        return None
    rotation = cv2.Rodrigues(turn)[0]
    ahead = -rotation[:, 2]  # from the face to the camera, if it looks there
    return HeadPose(
        math.degrees(math.atan2(ahead[0], -ahead[2])),
        math.degrees(math.atan2(-ahead[1], math.hypot(ahead[0], ahead[2]))),
        math.degrees(math.atan2(rotation[1, 0], rotation[0, 0])),
    )
