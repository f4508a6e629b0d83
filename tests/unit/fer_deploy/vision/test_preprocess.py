import cv2
import numpy as np
import pytest

from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.vision.preprocess import CropConfig, gray_from_bgr, images_from_boxes, images_from_faces, resize_crop
from fer_deploy.vision.types import Box, Detection

SPEC = FAKE_SPEC.input


def scene() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (120, 160)).astype(np.uint8)


def test_gray_is_bt601_luma_of_bgr():
    colors = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
    assert gray_from_bgr(colors).tolist() == [[29, 150, 76, 255]]


def test_no_boxes_give_an_empty_batch():
    images = images_from_boxes(scene(), [], SPEC)
    assert (images.shape, images.dtype) == ((0, 1, 48, 48), np.uint8)


def test_one_image_a_box_in_order():
    frame = scene()
    images = images_from_boxes(frame, [Box(0, 0, 48, 48), Box(112, 72, 160, 120), Box(5, 9, 75, 79)], SPEC)
    assert (images.shape, images.dtype) == ((3, 1, 48, 48), np.uint8)
    np.testing.assert_array_equal(images[0, 0], frame[:48, :48])
    np.testing.assert_array_equal(images[1, 0], frame[72:, 112:])


def test_images_are_owned_by_the_caller():
    frame = scene()
    before = frame.copy()
    images = images_from_boxes(frame, [Box(0, 0, 48, 48)], SPEC)
    images[:] = 0
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("size", [(1, 1), (30, 30), (48, 49), (96, 96), (20, 90), (90, 20)])
def test_every_size_becomes_the_networks(size):
    crop = np.full(size, 77, dtype=np.uint8)
    resized = resize_crop(crop, SPEC)
    assert resized.shape == (48, 48)
    assert set(np.unique(resized)) == {77}


def test_shrinking_averages_areas():
    checkers = np.indices((96, 96)).sum(axis=0) % 2 * 200
    assert set(np.unique(resize_crop(checkers.astype(np.uint8), SPEC))) == {100}


def test_growing_interpolates():
    crop = np.tile(np.array([0, 200], dtype=np.uint8), (24, 12))
    wanted = cv2.resize(crop, (48, 48), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resize_crop(crop, SPEC), wanted)


def test_size_comes_from_the_spec():
    spec = SPEC.model_copy(update={"height": 20, "width": 30})
    assert images_from_boxes(scene(), [Box(0, 0, 50, 50)], spec).shape == (1, 1, 20, 30)


def bgr_scene() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 255, (120, 160, 3)).astype(np.uint8)


class TestFaces:
    def test_no_faces(self):
        images = images_from_faces(bgr_scene(), [], SPEC, CropConfig())
        assert (images.shape, images.dtype) == ((0, 1, 48, 48), np.uint8)

    def test_a_square_box_as_it_is(self):
        frame = bgr_scene()
        faces = [Detection(Box(10, 20, 58, 68)), Detection(Box(30, 5, 126, 101))]
        images = images_from_faces(frame, faces, SPEC, CropConfig(scale=1.0, shift=0.0))
        wanted = images_from_boxes(gray_from_bgr(frame), [face.box for face in faces], SPEC)
        np.testing.assert_array_equal(images, wanted)

    def test_a_square_of_the_boxs_area_about_its_center(self):
        frame = bgr_scene()
        images = images_from_faces(frame, [Detection(Box(50, 20, 82, 92))], SPEC, CropConfig(scale=1.0, shift=0.0))
        np.testing.assert_array_equal(images[0, 0], gray_from_bgr(frame)[32:80, 42:90])

    def test_scale_and_shift(self):
        """A box of 40 gives a square of 60, and a tenth of that lies lower."""
        frame = bgr_scene()
        images = images_from_faces(frame, [Detection(Box(40, 30, 80, 70))], SPEC, CropConfig(scale=1.5, shift=0.1))
        wanted = images_from_boxes(gray_from_bgr(frame), [Box(30, 26, 90, 86)], SPEC)
        np.testing.assert_array_equal(images, wanted)

    @pytest.mark.parametrize(
        "box", [Box(0, 0, 48, 48), Box(112, 72, 160, 120), Box(0, 72, 48, 120), Box(0, 0, 160, 120)]
    )
    def test_beyond_the_frame_its_last_pixels_go_on(self, box):
        frame = bgr_scene()
        images = images_from_faces(frame, [Detection(box)], SPEC, CropConfig(scale=1.5, shift=0.0))
        padded = cv2.copyMakeBorder(gray_from_bgr(frame), 100, 100, 100, 100, cv2.BORDER_REPLICATE)
        side = round(1.5 * ((box.x2 - box.x1) * (box.y2 - box.y1)) ** 0.5)
        x, y = round((box.x1 + box.x2) / 2 - side / 2) + 100, round((box.y1 + box.y2) / 2 - side / 2) + 100
        np.testing.assert_array_equal(images, images_from_boxes(padded, [Box(x, y, x + side, y + side)], SPEC))

    def test_a_face_of_one_pixel(self):
        frame = bgr_scene()
        images = images_from_faces(frame, [Detection(Box(159, 119, 160, 120))], SPEC, CropConfig(scale=0.1))
        assert np.unique(images).tolist() == [gray_from_bgr(frame)[119, 159]]

    def test_nothing_of_the_frame_is_changed(self):
        frame = bgr_scene()
        before = frame.copy()
        images_from_faces(frame, [Detection(Box(0, 0, 48, 48))], SPEC, CropConfig())[:] = 0
        np.testing.assert_array_equal(frame, before)


class TestUpright:
    """A face with its eyes at known places, turned about its middle."""

    @staticmethod
    def face(roll: float, *, side: int = 96) -> tuple[np.ndarray, Detection]:
        """Return a smooth picture that leans by `roll` degrees clockwise, and where its face is."""
        coarse = np.random.default_rng(4).integers(0, 255, (12, 12)).astype(np.uint8)
        gray = cv2.resize(coarse, (240, 240), interpolation=cv2.INTER_CUBIC)
        turn = cv2.getRotationMatrix2D((119.5, 119.5), -roll, 1.0)
        leaning = cv2.warpAffine(gray, turn, (240, 240), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        points = np.array([[100, 100, 1], [140, 100, 1], [120, 120, 1], [105, 140, 1], [135, 140, 1]]) @ turn.T
        landmarks = tuple((float(x), float(y)) for x, y in points)
        low, high = 120 - side // 2, 120 + side // 2
        return cv2.cvtColor(leaning, cv2.COLOR_GRAY2BGR), Detection(Box(low, low, high, high), 1.0, landmarks)

    @pytest.mark.parametrize("roll", [-90, -40, -15, 5, 30, 60])
    @pytest.mark.parametrize(("side", "shift"), [(96, 0.0), (48, 0.1), (30, -0.1)])
    def test_a_leaning_face_looks_like_one_that_does_not(self, roll, side, shift):
        crop = CropConfig(scale=1.0, shift=shift, upright=True)
        straight, leaning = self.face(0, side=side), self.face(roll, side=side)
        (wanted,) = images_from_faces(straight[0], [straight[1]], SPEC, crop)[:, 0].astype(float)
        (turned,) = images_from_faces(leaning[0], [leaning[1]], SPEC, crop)[:, 0].astype(float)
        (left_leaning,) = images_from_faces(leaning[0], [leaning[1]], SPEC, crop.model_copy(update={"upright": False}))[
            :, 0
        ]
        assert np.abs(turned - wanted).mean() < 4
        if abs(roll) > 10:
            assert np.abs(left_leaning - wanted).mean() > 12

    def test_without_landmarks_it_stays(self):
        frame, face = self.face(30)
        plain = images_from_faces(frame, [Detection(face.box)], SPEC, CropConfig(upright=True))
        np.testing.assert_array_equal(plain, images_from_faces(frame, [face], SPEC, CropConfig(upright=False)))


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("shift", [-1.0, -0.97, 0.97, 1.0])
@pytest.mark.parametrize(
    "corner", [Box(0, 0, 20, 20), Box(140, 0, 160, 20), Box(0, 100, 20, 120), Box(150, 110, 160, 120)]
)
def test_a_square_outside_the_frame_shows_the_nearest_pixels(corner, shift, upright):
    """A negative index would show pixels of the opposite edge."""
    frame = cv2.cvtColor(np.repeat(np.arange(120, dtype=np.uint8)[:, None] * 2, 160, axis=1), cv2.COLOR_GRAY2BGR)
    (image,) = images_from_faces(frame, [Detection(corner)], SPEC, CropConfig(shift=shift, scale=1.0, upright=upright))
    middle = (corner.y1 + corner.y2) / 2 + shift * (corner.y2 - corner.y1)
    wanted = 2 * np.clip(middle, 0, 119)
    assert abs(float(image.mean()) - wanted) < 12
    assert image.min() >= 2 * max(0, min(middle - 11, 119)) - 2
    assert image.max() <= 2 * max(0, min(middle + 11, 119)) + 2


def test_far_outside_is_one_color():
    frame = np.zeros((40, 60, 3), dtype=np.uint8)
    frame[0] = 200  # the opposite edge
    detection = Detection(Box(0, 30, 10, 40))
    (image,) = images_from_faces(frame, [detection], SPEC, CropConfig(shift=1.0, scale=4.0))
    assert image.max() == 0
