import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from unit.fer_train.synthetic_faces import make_faces

from fer_train.augment import normalize
from fer_train.data.faces import EMOTIONS
from fer_train.evaluate import BATCH_SIZE, evaluate, measure, predict_logits

CPU = torch.device("cpu")


def one_hot(predicted, num_classes, height=5.0):
    return (np.eye(num_classes)[predicted] * height).astype(np.float32)


@pytest.fixture
def metrics():
    """True 0 0 1 2, predicted 0 1 1 1: worked out by hand in the tests."""
    return measure(one_hot([0, 1, 1, 1], 3), np.array([0, 0, 1, 2]))


def test_averages_by_hand(metrics):
    assert metrics.num_faces == 4
    assert metrics.accuracy == pytest.approx(2 / 4)
    assert metrics.precision == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert metrics.recall == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert metrics.f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_per_class_by_hand(metrics):
    assert metrics.per_class["class_0"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2})
    assert metrics.per_class["class_1"] == pytest.approx({"precision": 1 / 3, "recall": 1, "f1": 0.5, "support": 1})
    assert metrics.per_class["class_2"] == pytest.approx({"precision": 0, "recall": 0, "f1": 0, "support": 1})


def test_confusion_has_a_row_for_each_true_label(metrics):
    assert metrics.confusion == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_loss_is_the_mean_cross_entropy():
    assert measure(np.zeros((4, 3), np.float32), np.array([0, 0, 1, 2])).loss == pytest.approx(math.log(3))
    right, wrong = -math.log(math.e / (math.e + 2)), -math.log(1 / (math.e + 2))
    assert measure(one_hot([0, 0], 3, 1.0), np.array([0, 1])).loss == pytest.approx((right + wrong) / 2)


def test_class_absent_from_the_split_counts_as_0_in_the_averages():
    perfect = measure(one_hot([0, 1], 3), np.array([0, 1]))
    assert perfect.accuracy == 1
    assert perfect.f1 == pytest.approx(2 / 3)
    assert perfect.per_class["class_2"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert perfect.confusion[2] == [0, 0, 0]


def test_seven_classes_carry_their_names_and_go_into_json():
    metrics = measure(one_hot([3, 6], 7), np.array([3, 3]))
    assert tuple(metrics.per_class) == EMOTIONS
    assert metrics.per_class["happy"]["support"] == 2
    assert json.loads(json.dumps(metrics.to_dict())) == metrics.to_dict()


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


def test_evaluate_compares_with_the_labels_of_the_faces():
    faces = make_faces(num_classes=2, Training=10)
    faces.images[:] = 0
    for image, label in zip(faces.images, faces.labels, strict=True):
        image[:, 24 * label : 24 * (label + 1)] = 200
    assert evaluate(BrighterLeft(), faces, device=CPU).accuracy == 1.0
    faces.labels[0] = 1
    assert evaluate(BrighterLeft(), faces, device=CPU).accuracy == pytest.approx(0.9)
