import numpy as np
import pytest
import torch
from torch import nn
from unit.fer_train.synthetic_faces import make_faces

from fer_train.data.augment import normalize
from fer_train.errors import ConfigError
from fer_train.evaluation.views import BATCH_SIZE, predict_logits, predict_views, ten_crops

CPU = torch.device("cpu")


class BrighterLeft(nn.Module):
    """Logits (mean of the left half, mean of the right half), so that mirroring swaps them."""

    def forward(self, x):
        return torch.stack([x[..., :24].mean((1, 2, 3)), x[..., 24:].mean((1, 2, 3))], dim=1)


def test_flip_averages_each_face_and_its_mirror_image():
    images = make_faces(Training=5).images
    images[:, :, :24] //= 4
    plain = predict_logits(BrighterLeft(), images, device=CPU)
    flipped = predict_logits(BrighterLeft(), images, device=CPU, flip=True)
    assert (plain[:, 0] < plain[:, 1]).all()
    np.testing.assert_allclose(flipped, plain.mean(axis=1, keepdims=True).repeat(2, axis=1), rtol=1e-4, atol=1e-6)


def test_logits_are_those_of_normalized_faces_across_batches():
    images = make_faces(Training=BATCH_SIZE + 3).images
    logits = predict_logits(BrighterLeft(), images, device=CPU)
    assert logits.shape == (BATCH_SIZE + 3, 2)
    assert logits.dtype == np.float32
    expected = BrighterLeft()(normalize(torch.from_numpy(images)))
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


def test_dropout_is_off_and_the_model_is_left_in_eval_mode():
    model = nn.Sequential(nn.Dropout(0.5), BrighterLeft()).train()
    images = make_faces(Training=3).images
    np.testing.assert_array_equal(*(predict_logits(model, images, device=CPU) for _ in range(2)))
    assert not model.training


def test_bf16_runs_under_autocast():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2304, 7))
    images = make_faces(Training=3).images
    exact, rounded = (predict_logits(model, images, device=CPU, dtype=d) for d in (torch.float32, torch.bfloat16))
    assert not np.array_equal(exact, rounded)
    np.testing.assert_allclose(exact, rounded, atol=0.05)


class Counting(BrighterLeft):
    """Remembers the shapes that it was called with."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        return super().forward(x)


def test_views_share_the_faces_as_they_are():
    model, images = Counting(), make_faces(Training=3).images
    views = predict_views(model, images, views=("plain", "flip"), device=CPU)
    assert model.shapes == [(3, 1, 48, 48)] * 2
    np.testing.assert_array_equal(views["plain"], predict_logits(BrighterLeft(), images, device=CPU))
    np.testing.assert_array_equal(views["flip"], predict_logits(BrighterLeft(), images, device=CPU, flip=True))


def test_ten_crop_is_the_mean_over_ten_resized_crops_of_44():
    """A horizontal ramp: a crop from column c averages 21.5 + c, whatever is done to it, and a mirror image as well."""
    images = np.tile(np.arange(48, dtype=np.uint8) * 5, (2, 48, 1))
    model = Counting()
    got = predict_views(model, images, views=("tencrop",), device=CPU, mean_std=(0.0, 1.0))["tencrop"]
    assert model.shapes == [(2, 1, 48, 48)] * 10
    centre = 5 * (21.5 + 2)  # offsets 0, 4, 0, 4 and 2
    np.testing.assert_allclose(got.mean(axis=1), centre, rtol=1e-5)
    np.testing.assert_allclose(got[:, 0], got[:, 1], rtol=1e-5)


def test_ten_crops_are_four_corners_the_centre_and_their_mirror_images():
    face = torch.arange(48 * 48, dtype=torch.float32).view(1, 1, 48, 48)
    crops = list(ten_crops(face))
    assert [crop.shape for crop in crops] == [face.shape] * 10
    starts = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
    for crop, mirrored, (top, left) in zip(crops[::2], crops[1::2], starts, strict=True):
        assert float(crop[0, 0, 0, 0]) == pytest.approx(float(face[0, 0, top, left]), abs=0.01)
        assert float(crop[0, 0, -1, -1]) == pytest.approx(float(face[0, 0, top + 43, left + 43]), abs=0.01)
        assert torch.equal(mirrored, crop.flip(3))


def test_progress_counts_faces():
    seen = []
    images = make_faces(Training=BATCH_SIZE + 3).images
    predict_views(BrighterLeft(), images, views=("plain",), device=CPU, on_batch=lambda *counts: seen.append(counts))
    assert seen == [(BATCH_SIZE, BATCH_SIZE + 3), (BATCH_SIZE + 3, BATCH_SIZE + 3)]


def test_unknown_view():
    with pytest.raises(ConfigError, match=r"unknown view 'mirror'\. Fix: plain, flip, tencrop"):
        predict_views(BrighterLeft(), make_faces(Training=1).images, views=("plain", "mirror"), device=CPU)
