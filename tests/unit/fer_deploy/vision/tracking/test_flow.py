import cv2
import numpy as np
import pytest

from fer_deploy.vision.tracking.flow import PATCH_SIDE, Shift, patch_from_frame, shift_of_patch

SEEN_AT = (160.0, 120.0, 60.0, 76.0)
LANDMARK = (150.0, 110.0)


@pytest.fixture(scope="module")
def frame_bgr():
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX)


def moved(frame_bgr, *, dx=0.0, dy=0.0, degrees=0.0, scale=1.0):
    matrix = cv2.getRotationMatrix2D(SEEN_AT[:2], degrees, scale)
    matrix[:, 2] += (dx, dy)
    return cv2.warpAffine(frame_bgr, matrix, (320, 240), borderMode=cv2.BORDER_REFLECT), matrix


@pytest.mark.parametrize(
    "motion",
    [
        {},
        {"dx": 7.0, "dy": -4.0},
        {"dx": -3.5, "dy": 2.25},
        {"degrees": 8.0},
        {"scale": 1.1},
        {"scale": 0.9, "dx": 4.0},
    ],
)
def test_shift_turn_and_scale_are_found(frame_bgr, motion):
    later_bgr, matrix = moved(frame_bgr, **motion)
    shift = shift_of_patch(patch_from_frame(frame_bgr, SEEN_AT), SEEN_AT, later_bgr, SEEN_AT)
    for point in (SEEN_AT[:2], LANDMARK):
        assert shift.of(point) == pytest.approx(tuple(matrix @ (*point, 1)), abs=0.5)
    assert abs(shift.turn) == pytest.approx(motion.get("scale", 1.0), abs=0.01)


def test_a_far_jump_is_found_where_motion_expects_it(frame_bgr):
    later_bgr, _ = moved(frame_bgr, dx=60, dy=30)
    expected_at = (218.0, 153.0, 64.0, 80.0)
    shift = shift_of_patch(patch_from_frame(frame_bgr, SEEN_AT), SEEN_AT, later_bgr, expected_at)
    assert shift.of(SEEN_AT[:2]) == pytest.approx((220, 150), abs=0.5)
    assert abs(shift.turn) == pytest.approx(1, abs=0.02)


def test_another_picture_tells_nothing(frame_bgr):
    cut_bgr = np.ascontiguousarray(frame_bgr[::-1, ::-1])
    assert shift_of_patch(patch_from_frame(frame_bgr, SEEN_AT), SEEN_AT, cut_bgr, SEEN_AT) is None


def test_a_blank_picture_tells_nothing(frame_bgr):
    blank_bgr = np.full_like(frame_bgr, 90)
    assert shift_of_patch(patch_from_frame(frame_bgr, SEEN_AT), SEEN_AT, blank_bgr, SEEN_AT) is None
    assert shift_of_patch(patch_from_frame(blank_bgr, SEEN_AT), SEEN_AT, blank_bgr, SEEN_AT) is None


@pytest.mark.parametrize("place", [(0.0, 0.0, 40.0, 50.0), (319.0, 239.0, 200.0, 300.0), (-500.0, 900.0, 3.0, 2.0)])
def test_a_patch_beyond_the_frame_has_its_size(frame_bgr, place):
    assert patch_from_frame(frame_bgr, place).shape == (PATCH_SIDE, PATCH_SIDE)


def test_shift_is_a_complex_product():
    assert Shift(2j, 1 + 1j).of((3.0, 4.0)) == (-7.0, 7.0)
