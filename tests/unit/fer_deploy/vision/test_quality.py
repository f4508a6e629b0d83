"""Numbers and flags of a face's quality."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fer_deploy.vision.preprocess import CropConfig, images_from_faces
from fer_deploy.vision.quality import QUALITY_NAMES, FaceQuality, HeadPose, QualityFlag
from fer_deploy.vision.quality_measures import quality_of_face
from fer_deploy.vision.types import Box, Detection

FRAME = (320, 240)
MIDDLE = Detection(Box(100, 60, 196, 156), 0.9)
LANDMARKS = ((128.0, 96.0), (168.0, 96.0), (148.0, 116.0), (132.0, 136.0), (164.0, 136.0))
F = QualityFlag


def drawn_face(level=128, spread=50):
    """Return (48, 48) uint8 with edges as a face has them: two eyes, a mouth, a round outline."""
    face = np.zeros((48, 48), np.uint8)
    cv2.ellipse(face, (24, 24), (18, 23), 0, 0, 360, 160, -1)
    for center in ((17, 19), (31, 19)):
        cv2.circle(face, center, 3, 20, -1)
    cv2.ellipse(face, (24, 35), (8, 3), 0, 0, 360, 60, -1)
    soft = cv2.GaussianBlur(face, (0, 0), 0.7).astype(np.float32)
    return np.clip((soft - soft.mean()) / soft.std() * spread + level, 0, 255).astype(np.uint8)


def quality(image, detection=MIDDLE):
    return quality_of_face(image, detection, FRAME, CropConfig())


def test_a_good_face_has_no_flags():
    found = quality(drawn_face(), Detection(MIDDLE.box, 0.9, LANDMARKS))
    assert found.flags == ()
    assert found.size_px == 96
    assert (found.brightness, found.contrast, found.score) == (pytest.approx(128, abs=3), pytest.approx(50, abs=3), 0.9)
    assert found.cut_off == (0, 0, 0, 0)
    assert abs(found.pose.yaw) < 10
    assert abs(found.pose.roll) < 2


@pytest.mark.parametrize(
    ("image", "flag"),
    [
        (cv2.GaussianBlur(drawn_face(), (0, 0), 3), F.LOW_SHARPNESS),
        (drawn_face(level=8, spread=3), F.LOW_BRIGHTNESS),
        (drawn_face(level=240, spread=6), F.HIGH_BRIGHTNESS),
        (drawn_face(spread=1.5), F.LOW_CONTRAST),
        (np.clip(drawn_face() + np.random.default_rng(2).normal(0, 30, (48, 48)), 0, 255).astype(np.uint8), F.NOISY),
    ],
)
def test_pixels(image, flag):
    assert flag in quality(image).flags
    assert flag not in quality(drawn_face()).flags


def test_sharpness_depends_on_blur_and_not_on_light():
    sharp, soft = drawn_face(), cv2.GaussianBlur(drawn_face(), (0, 0), 2)
    assert quality(soft).sharpness < quality(sharp).sharpness / 2
    for level, spread in ((60, 20), (200, 20), (128, 10)):
        assert quality(drawn_face(level, spread)).sharpness == pytest.approx(quality(sharp).sharpness, rel=0.1)


@pytest.mark.parametrize("pose", [None, HeadPose(12.0, -3.5, 1 / 3)])
def test_values_say_everything(pose):
    found = replace(quality(drawn_face()), pose=pose, cut_off=(0.1, 0.2, 0.3, 0.4))
    values = found.values()
    assert tuple(values) == QUALITY_NAMES
    assert (values["yaw_deg"], values["cut_bottom"]) == (None if pose is None else 12.0, 0.4)
    assert FaceQuality.from_values(values, score=0.9, has_face_geometry=True) == found
    assert found.rounded()["roll_deg"] == (None if pose is None else 0.33)


def test_networks_of_other_sizes_are_measured_alike():
    large = drawn_face().repeat(2, axis=0).repeat(2, axis=1)
    assert quality(large) == quality(drawn_face())


def test_plain_pictures_are_no_fault_of_the_program():
    for level in (0, 128, 255):
        assert F.LOW_CONTRAST in quality(np.full((48, 48), level, np.uint8)).flags


@pytest.mark.parametrize(("side", "is_small"), [(15, True), (17, False)])
def test_size(side, is_small):
    assert (F.SMALL_FACE in quality(drawn_face(), Detection(Box(100, 60, 100 + side, 60 + side))).flags) is is_small


@pytest.mark.parametrize(
    ("box", "cut", "is_cut"),
    [
        (Box(0, 60, 100, 160), (0.065, 0, 0, 0), False),
        (Box(0, 60, 40, 160), (0.225, 0, 0, 0), False),
        (Box(0, 60, 12, 160), (0.35, 0, 0, 0), False),
        (Box(0, 60, 6, 160), (0.39, 0, 0, 0), False),
        (Box(100, 140, 200, 240), (0, 0, 0, 0.045), False),
        (Box(100, 195, 200, 240), (0, 0, 0, 0.19), True),
        (Box(100, 0, 200, 45), (0, 0.23, 0, 0), False),
    ],
)
def test_cut_off_by_the_edge(box, cut, is_cut):
    found = quality(drawn_face(), Detection(box))
    assert found.cut_off == pytest.approx(cut, abs=0.03)
    assert (F.CUT_OFF in found.flags) is is_cut


def test_pose_and_geometry():
    leaning = tuple(
        (148 + (y - 116) * 0.8 + (x - 148) * 0.6, 116 + (y - 116) * 0.6 - (x - 148) * 0.8) for x, y in LANDMARKS
    )
    assert F.EXTREME_POSE in quality(drawn_face(), Detection(MIDDLE.box, 0.9, leaning)).flags
    mirrored = LANDMARKS[1], LANDMARKS[0], *LANDMARKS[2:]
    assert F.NOT_A_FACE in quality(drawn_face(), Detection(MIDDLE.box, 0.9, mirrored)).flags


def test_the_shares_are_those_that_the_crop_repeats():
    frame = np.full((240, 320, 3), 100, np.uint8)
    frame[-1] = 200  # what repeats below the frame
    from fer_deploy.spec import InputSpec  # noqa: PLC0415

    spec = InputSpec(name="images", height=48, width=48, channels=1, dtype="uint8", color="gray", mean=0, std=1)
    detection = Detection(Box(100, 180, 200, 240))
    image = images_from_faces(frame, [detection], spec, CropConfig())[0, 0]
    assert (image > 150).all(axis=1).mean() == pytest.approx(quality(drawn_face(), detection).cut_off[3], abs=0.04)
