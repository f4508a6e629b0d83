import cv2
import numpy as np
import pytest

from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.vision.preprocess import gray_from_bgr, images_from_boxes, resize_crop
from fer_deploy.vision.types import Box

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
