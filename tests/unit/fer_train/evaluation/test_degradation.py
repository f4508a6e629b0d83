"""Degradations: what each does to pixels, and what a model's row in the card says."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from unit.fer_train.synthetic_faces import make_faces, make_votes

from fer_train.data.faces import EMOTIONS
from fer_train.evaluation.degradation import (
    blurred,
    degradations,
    dim_and_soft,
    faded,
    measure_degraded,
    shrunk,
    tilted,
)

SPEC = {
    "labels": list(EMOTIONS),
    "provenance": {},
    "input": {"height": 48, "mean": 0.0, "std": 1.0},
}


@pytest.fixture
def images():
    """Four noisy faces of other brightness and contrast each, one of them flat."""
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(4, 48, 48)) * np.array([240, 70, 120, 0])[:, None, None]
    noise = np.array([cv2.GaussianBlur(face, (0, 0), 1.0) for face in noise])
    return np.clip(noise + np.array([128, 90, 240, 50])[:, None, None], 0, 255).astype(np.uint8)


def test_each_keeps_shape_and_type_and_is_deterministic(images):
    before = images.copy()
    rows = list(degradations(images))
    assert [row[0] for row in rows] == (["blur"] * 6 + ["contrast"] * 5 + ["size"] * 5 + ["tilt"] * 4)
    for (what, amount, found), (_, _, again) in zip(rows, degradations(images), strict=True):
        assert (found.shape, found.dtype) == (images.shape, np.uint8), (what, amount)
        np.testing.assert_array_equal(found, again)
        assert (found != images).any(), (what, amount)
    np.testing.assert_array_equal(images, before)


def test_faded_faces_have_at_most_that_deviation_about_their_own_mean(images):
    found = faded(images, 10.0)
    seen = images.std(axis=(1, 2))
    np.testing.assert_allclose(found.std(axis=(1, 2))[seen > 10], 10, atol=0.3)
    np.testing.assert_array_equal(found[seen <= 10], images[seen <= 10])
    np.testing.assert_allclose(found.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=0.5)


def test_blur_takes_details_away_and_keeps_brightness(images):
    found = [images, *(blurred(images, sigma) for sigma in (0.5, 1.2, 3.0))]
    deviations = [some[:3].std(axis=(1, 2)) for some in found]
    assert all((after < before).all() for before, after in itertools.pairwise(deviations))
    np.testing.assert_allclose(found[-1].mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=4)


def test_dim_and_soft_is_blur_and_then_fade(images):
    np.testing.assert_array_equal(dim_and_soft(images), faded(blurred(images, 1.2), 25.0))
    assert (dim_and_soft(images).std(axis=(1, 2)) <= 25.3).all()


def test_shrunk_faces_hold_no_more_than_the_small_ones(images):
    np.testing.assert_array_equal(shrunk(images, 48), images)
    small = np.array([cv2.resize(face, (12, 12), interpolation=cv2.INTER_AREA) for face in images])
    again = np.array([cv2.resize(face, (12, 12), interpolation=cv2.INTER_AREA) for face in shrunk(images, 12)])
    assert all(np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9 for a, b in zip(again[:3], small[:3], strict=True))
    assert (shrunk(images, 10)[:3].std(axis=(1, 2)) < images[:3].std(axis=(1, 2))).all()


def test_tilted_faces_turn_about_the_center_each_second_one_the_other_way():
    faces = np.zeros((2, 48, 48), dtype=np.uint8)
    faces[:, :, 22:26] = 200  # a vertical bar
    turned = tilted(faces, 45.0)
    np.testing.assert_array_equal(turned[1], turned[0][:, ::-1])
    assert turned[0][40, 8] != turned[0][8, 8]  # a diagonal runs through one of the two
    assert turned[0][23:25, 23:25].min() > 150
    np.testing.assert_array_equal(tilted(faces, 0.0), faces)
    np.testing.assert_array_equal(np.unique(tilted(np.full((1, 48, 48), 90, np.uint8), 30.0)), [90])  # no black corners


class Brightness(nn.Module):
    """Takes a face for the class whose brightness its mean has, as `make_faces` draws them."""

    def __init__(self):
        super().__init__()
        self.middles = nn.Parameter(60.0 + 15 * torch.arange(7))

    def forward(self, x):
        return -((x.mean((1, 2, 3))[:, None] - self.middles) ** 2)


def test_rows_tell_the_accuracy_on_degraded_faces():
    faces = make_faces(Training=7, PublicTest=28)
    batches = []
    rows = measure_degraded(
        Brightness(), faces, "PublicTest", spec=SPEC, label_set="fer2013", on_batch=lambda *b: batches.append(b)
    )
    assert rows[0].to_dict() == {"what": "clean", "amount": 0.0, "num_faces": 28, "accuracy": 1.0}
    assert len(rows) == len(batches) == 22
    assert all(row.accuracy > 0.8 for row in rows)  # brightness outlives each of them


def test_votes_decide_where_asked_to():
    faces = make_faces(Training=7, PublicTest=28)
    faces = dataclasses.replace(faces, votes=make_votes(faces))
    rows = measure_degraded(Brightness(), faces, "PublicTest", spec=SPEC, label_set="ferplus")
    assert rows[0].accuracy < 1  # contempt is not among the model's answers
