"""Measure how well a face can be read, and flag what makes its emotion unreliable.

Each limit is where fewer than 80 % of FER+'s majority emotions are named rightly; undegraded faces: 90 %. Measured with
the bundled model (senet-ferplus, INT8) on 800 faces of FER2013's PublicTest that were degraded in one way, and for the
pose on all 3,199, with YuNet's landmarks. The accuracy near each limit is beside it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.face_geometry import is_face
from fer_deploy.vision.head_pose import HeadPose, head_pose
from fer_deploy.vision.preprocess import CropConfig, outside_of_crop
from fer_deploy.vision.types import Detection

SMALLEST_FACE_PX: Final = 16.0
"""79 % at 16 pixels, 71 % at 12."""
LEAST_SHARPNESS: Final = 3.9
"""81 % at 3.9 after blurring by 1.6 pixels of 48, 77 % at 3.1; 71 % at 3.8 after enlarging from 14 pixels."""
BRIGHTNESS: Final = (12.0, 230.0)
"""84 % at 15, 71 % at 7; 82 % at 227, 71 % at 240."""
LEAST_CONTRAST: Final = 2.0
"""84 % at 2.5: the network hardly needs contrast."""
MOST_GRAIN: Final = 2.0
"""81 % at 1.2, 67 % at 2.3 with noise of 16 gray levels."""
MOST_YAW_DEG, MOST_ROLL_DEG = 60.0, 40.0
"""Yaw: 87 % at 50 to 60, 77 % beyond (13 faces). Roll: 83 % at 30, 70 % at 45."""
PITCH_DEG: Final = (-20.0, 30.0)
"""76 % at -20 to -30 (looking down), 81 % at 10 to 20; few faces look further up."""
MOST_CUT_BELOW, MOST_CUT_ELSEWHERE = 0.18, 0.4
"""Below, where the mouth is: 87 % at 0.10, 76 % at 0.21. Above: 79 % at 0.40. At a side: 82 % at 0.40, 78 % at 0.50."""


class QualityFlag(StrEnum):
    """Why the emotion of a face may be wrong."""

    SMALL_FACE = "SMALL_FACE"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    HIGH_BRIGHTNESS = "HIGH_BRIGHTNESS"
    LOW_CONTRAST = "LOW_CONTRAST"
    NOISY = "NOISY"
    EXTREME_POSE = "EXTREME_POSE"
    CUT_OFF = "CUT_OFF"
    NOT_A_FACE = "NOT_A_FACE"


@dataclass(frozen=True)
class FaceQuality:
    """How well a face can be read. `flags` follow from the numbers.

    Attributes:
        size_px: square root of the box's area, in pixels of the frame.
        sharpness: mean squared gradient (Sobel) over variance, of the network's input: about 10 for a sharp face, 3 for
            a very soft one. It does not depend on light or contrast.
        brightness: mean of the network's input, 0 to 255.
        contrast: standard deviation of the network's input, in gray levels.
        grain: variance of the Laplacian over variance, of the network's input: 0.3 to 1.5, more if there is noise.
        pose: of the head, coarse; None if the detector gives no landmarks.
        cut_off: share of the network's input that lies outside of the frame: at the left, above, at the right, below.
        score: of the detector, 0 to 1.
        has_face_geometry: whether the landmarks can belong to a face.
    """

    size_px: float
    sharpness: float
    brightness: float
    contrast: float
    grain: float
    pose: HeadPose | None
    cut_off: tuple[float, float, float, float]
    score: float
    has_face_geometry: bool

    @property
    def flags(self) -> tuple[QualityFlag, ...]:
        """What makes the emotion unreliable; empty for a good face."""
        pose = self.pose
        *elsewhere, below = self.cut_off
        found = {
            QualityFlag.SMALL_FACE: self.size_px < SMALLEST_FACE_PX,
            QualityFlag.LOW_SHARPNESS: self.sharpness < LEAST_SHARPNESS,
            QualityFlag.LOW_BRIGHTNESS: self.brightness < BRIGHTNESS[0],
            QualityFlag.HIGH_BRIGHTNESS: self.brightness > BRIGHTNESS[1],
            QualityFlag.LOW_CONTRAST: self.contrast < LEAST_CONTRAST,
            QualityFlag.NOISY: self.grain > MOST_GRAIN,
            QualityFlag.EXTREME_POSE: pose is not None and _is_extreme(pose),
            QualityFlag.CUT_OFF: below > MOST_CUT_BELOW or max(elsewhere) > MOST_CUT_ELSEWHERE,
            QualityFlag.NOT_A_FACE: not self.has_face_geometry,
        }
        return tuple(flag for flag, is_set in found.items() if is_set)


def quality_of_face(
    image: NDArray[np.uint8], detection: Detection, frame_size: tuple[int, int], crop: CropConfig
) -> FaceQuality:
    """Measure a face.

    Args:
        image: (H, W) uint8 gray, the network's input from `images_from_faces`.
        detection: of the face.
        frame_size: width and height of the frame in pixels.
        crop: with which the image was cut out.
    """
    pixels = image.astype(np.float32)
    variance = float(pixels.var()) + 1.0  # a level of noise: a plain picture is neither sharp nor grainy
    across, down = cv2.Sobel(pixels, cv2.CV_32F, 1, 0), cv2.Sobel(pixels, cv2.CV_32F, 0, 1)
    box = detection.box
    return FaceQuality(
        size_px=float(np.sqrt((box.x2 - box.x1) * (box.y2 - box.y1))),
        sharpness=float(np.mean(across**2 + down**2)) / variance,
        brightness=float(pixels.mean()),
        contrast=float(pixels.std()),
        grain=float(cv2.Laplacian(pixels, cv2.CV_32F).var()) / variance,
        pose=head_pose(detection, frame_size),
        cut_off=outside_of_crop(detection, frame_size, crop),
        score=detection.score,
        has_face_geometry=is_face(detection),
    )


def _is_extreme(pose: HeadPose) -> bool:
    is_turned = abs(pose.yaw) > MOST_YAW_DEG or abs(pose.roll) > MOST_ROLL_DEG
    return is_turned or not PITCH_DEG[0] <= pose.pitch <= PITCH_DEG[1]
