"""The same crop through training's evaluation transform and through the deployed path gives the same logits."""

import cv2
import numpy as np
import pytest
import torch

from fer_deploy.engines import open_engine
from fer_deploy.vision.preprocess import images_from_boxes, resize_crop
from fer_deploy.vision.types import Box
from fer_train.checkpoint import load_release
from fer_train.data.augment import normalize
from fer_train.data.faces import resize_face

SIZES = [(30, 30), (48, 48), (49, 49), (47, 48), (97, 131), (40, 80), (80, 40), (200, 200), (5, 400), (1, 1)]
ATOL = 1e-3


@pytest.fixture(scope="module")
def engine(tiny_onnx):
    with open_engine(tiny_onnx, device="cpu") as opened:
        yield opened


def crops() -> list[np.ndarray]:
    """Gray crops of many sizes, each with a structure and a brightness of its own."""
    generator = np.random.default_rng(3)
    made = []
    for i, (height, width) in enumerate(SIZES):
        coarse = generator.integers(0, 100, (6, 6)).astype(np.uint8)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        noise = generator.integers(0, 30, (height, width))
        made.append(np.clip(smooth.astype(int) + noise + 12 * i, 0, 255).astype(np.uint8))
    return made


@pytest.mark.parametrize("crop", [pytest.param(crop, id=f"{crop.shape[0]}x{crop.shape[1]}") for crop in crops()])
def test_pixels_are_equal(crop, engine):
    np.testing.assert_array_equal(resize_crop(crop, engine.spec.input), resize_face(crop))


def test_logits_are_equal(engine, tiny_release):
    model, _ = load_release(tiny_release)
    faces = np.stack([resize_face(crop) for crop in crops()])
    with torch.inference_mode():
        wanted = model(normalize(torch.from_numpy(faces))).numpy()
    assert np.ptp(wanted, axis=0).max() > 100 * ATOL, "the model must tell the crops apart"

    images = [images_from_boxes(crop, [Box(0, 0, crop.shape[1], crop.shape[0])], engine.spec.input) for crop in crops()]
    np.testing.assert_allclose(engine.infer(np.concatenate(images)), wanted, atol=ATOL, rtol=0)


def test_crops_are_cut_where_the_boxes_say(engine):
    scene = np.random.default_rng(4).integers(0, 255, (300, 400)).astype(np.uint8)
    boxes = [Box(0, 0, 48, 48), Box(352, 252, 400, 300), Box(13, 17, 144, 114)]
    images = images_from_boxes(scene, boxes, engine.spec.input)
    for image, box in zip(images[:, 0], boxes, strict=True):
        np.testing.assert_array_equal(image, resize_face(scene[box.y1 : box.y2, box.x1 : box.x2]))
