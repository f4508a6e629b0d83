"""FaceQuality: how well a face can be read, and flags for what makes its emotion unreliable.

Each limit, but for two that say why, is where fewer than 80 % of FER+'s majority emotions are named rightly; undegraded
faces: 90 %. Measured by benchmarks/quality.py with the bundled model (senet-ferplus, INT8) on 800 faces of FER2013's
PublicTest that were degraded in one way, and for yaw and pitch on all 3,199, with YuNet's landmarks. The accuracy near
each limit is beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

SMALLEST_FACE_PX: Final = 16.0
"""79 % at 16 pixels, 71 % at 12."""
LEAST_SHARPNESS: Final = 3.9
"""81 % at 3.9 after blurring by 1.6 pixels of 48, 77 % at 3.1; 71 % at 3.8 after enlarging from 14 pixels."""
BRIGHTNESS: Final = (12.0, 230.0)
"""84 % at 15, 71 % at 7; 82 % at 227, 71 % at 240."""
LEAST_CONTRAST: Final = 2.0
"""84 % at 2.5: the network hardly needs contrast."""
MOST_GRAIN: Final = 2.0
"""81 % at 1.2, 67 % at 2.3 with noise of 16 gray levels. Wider, because sharp faces without noise reach it."""
MOST_YAW_DEG, MOST_ROLL_DEG = 60.0, 40.0
"""Yaw: 87 % at 50 to 60, 77 % beyond (13 faces). Roll: 83 % at 30, 75 % at 40; wider, because the pose is coarse."""
PITCH_DEG: Final = (-20.0, 30.0)
"""76 % at -20 to -30 (looking down), 81 % at 10 to 20; few faces look further up."""
MOST_CUT_BELOW, MOST_CUT_ELSEWHERE = 0.18, 0.4
"""Below, where the mouth is: 87 % at 0.10, 76 % at 0.21. Above: 79 % at 0.40. At a side: 82 % at 0.40, 78 % at 0.50."""


QUALITY_NAMES: Final = (
    *("size_px", "sharpness", "brightness", "contrast", "grain"),
    *("yaw_deg", "pitch_deg", "roll_deg"),
    *("cut_left", "cut_top", "cut_right", "cut_bottom"),
)
"""Names of the numbers of a face's quality in tables, JSON and files of observations."""


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


class HeadPose(NamedTuple):
    """Pose of a head in degrees; 0, 0, 0 looks into the camera. It is coarse: see `head_pose`.

    Attributes:
        yaw: to the image's right.
        pitch: up.
        roll: clockwise in the image.
    """

    yaw: float
    pitch: float
    roll: float


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

    def values(self) -> dict[str, float | None]:
        """Return the numbers by name, as all outputs have them; angles are None without a pose.

        `size_px`, `sharpness`, `brightness`, `contrast`, `grain`, `yaw_deg`, `pitch_deg`, `roll_deg`, and the shares
        `cut_left`, `cut_top`, `cut_right`, `cut_bottom`.
        """
        return dict(zip(QUALITY_NAMES, (*self._measures(), *(self.pose or (None,) * 3), *self.cut_off), strict=True))

    def rounded(self) -> dict[str, float | None]:
        """Return `values` with two decimals."""
        return {name: None if value is None else round(value, 2) for name, value in self.values().items()}

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, score: float, has_face_geometry: bool) -> Self:
        """Return the quality with these `values`."""
        numbers = [values[name] for name in QUALITY_NAMES]
        size_px, sharpness, brightness, contrast, grain, *angles = numbers[:8]
        left, top, right, bottom = numbers[8:]
        return cls(
            size_px,
            sharpness,
            brightness,
            contrast,
            grain,
            pose=None if angles[0] is None else HeadPose(*angles),
            cut_off=(left, top, right, bottom),
            score=score,
            has_face_geometry=has_face_geometry,
        )

    def _measures(self) -> tuple[float, ...]:
        return self.size_px, self.sharpness, self.brightness, self.contrast, self.grain

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


def _is_extreme(pose: HeadPose) -> bool:
    is_turned = abs(pose.yaw) > MOST_YAW_DEG or abs(pose.roll) > MOST_ROLL_DEG
    return is_turned or not PITCH_DEG[0] <= pose.pitch <= PITCH_DEG[1]
