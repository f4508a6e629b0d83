"""Pose of a head from five landmarks, on heads that are projected with a known pose."""

import math

import numpy as np
import pytest

from fer_deploy.vision.head_pose import FACE_MM, head_pose
from fer_deploy.vision.types import Box, Detection

FRAME = (1280, 720)


def rotation(yaw, pitch, roll):
    """Turn a head first about the line of sight, then up, then to the image's right."""
    yaw, pitch, roll = map(math.radians, (yaw, pitch, roll))
    aside = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
    up = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
    lean = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return aside @ up @ lean


def projected(face, pose, place=(0.0, 0.0, 700.0), lens_deg=53.13):
    """Return the detection of a face (5, 3) in millimeters, seen from a place by a lens."""
    width, height = FRAME
    focal = width / 2 / math.tan(math.radians(lens_deg / 2))
    points = (rotation(*pose) @ face.T).T + place
    pixels = points[:, :2] / points[:, 2:] * focal + (width / 2, height / 2)
    return Detection(Box(0, 0, 10, 10), 1.0, tuple(map(tuple, pixels)))


@pytest.mark.parametrize(
    "pose", [(0, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 20, 0), (0, -20, 0), (0, 0, 25), (0, 0, -25), (50, -10, 0)]
)
def test_the_average_face_in_the_middle_is_exact(pose):
    assert head_pose(projected(FACE_MM, pose), FRAME) == pytest.approx(pose, abs=0.5)


def test_signs_are_those_of_the_picture():
    pose = head_pose(projected(FACE_MM, (40, 0, 0)), FRAME)
    right_eye, left_eye, nose, *_ = projected(FACE_MM, (40, 0, 0)).landmarks
    assert nose[0] > (right_eye[0] + left_eye[0]) / 2  # the nose points to the image's right
    assert pose.yaw > 0
    (right_x, right_y), (left_x, left_y) = projected(FACE_MM, (0, 0, 20)).landmarks[:2]
    assert left_x > right_x
    assert left_y > right_y  # the person's left eye, on the image's right, is lower: clockwise


def test_errors_on_faces_of_other_shapes_and_lenses():
    dice = np.random.default_rng(1)
    errors = []
    for _ in range(1500):
        pose = dice.uniform((-60, -30, -30), (60, 30, 30))
        place = dice.uniform((-150, -80, 400), (150, 80, 1500))
        seen = projected(FACE_MM + dice.normal(0, 3, FACE_MM.shape), pose, place, dice.uniform(40, 90))
        points = np.array(seen.landmarks)
        side = 2.2 * np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
        noisy = Detection(seen.box, 1.0, tuple(map(tuple, points + dice.normal(0, 0.02 * side, points.shape))))
        errors.append(np.abs(np.array(head_pose(noisy, FRAME)) - pose))
    yaw, pitch, roll = np.median(errors, axis=0)
    assert (yaw < 7, pitch < 7, roll < 6) == (True, True, True)
    assert (np.percentile(errors, 90, axis=0) < (17, 16, 15)).all()


def test_without_landmarks():
    assert head_pose(Detection(Box(0, 0, 10, 10)), FRAME) is None


@pytest.mark.parametrize("point", [(5.0, 5.0), (math.inf, 0.0), (math.nan, 0.0)])
def test_landmarks_that_no_head_has(point):
    pose = head_pose(Detection(Box(0, 0, 10, 10), 1.0, (point,) * 5), FRAME)
    assert pose is None or all(map(math.isfinite, pose))
