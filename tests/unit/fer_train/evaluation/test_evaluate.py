import json

import numpy as np
import pytest
import torch
from torch import nn
from unit.fer_train.synthetic_faces import make_faces

from fer_train.errors import DataError, SplitAbsentError
from fer_train.evaluation.evaluate import evaluate, evaluate_split, mark_clean

CPU = torch.device("cpu")
SPEC = {
    "labels": ["left", "right"],
    "input": {"height": 48, "mean": 0.0, "std": 1.0},
    "provenance": {"config": {"train_split": "Training"}},
}


class BrighterLeft(nn.Module):
    """Logits (mean of the left half, mean of the right half) in tenths; a parameter tells the device."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, x):
        left, right = x.chunk(2, dim=3)
        return torch.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], dim=1) * self.scale


@pytest.fixture
def faces():
    """Ten of PublicTest, of which the model gets rows 20 and 21 wrong; row 20 and row 22 have a twin in Training."""
    made = make_faces(num_classes=2, Training=20, PublicTest=10)
    made.images[20:] //= 4
    for image, label in zip(made.images[20:], made.labels[20:], strict=True):
        image[:, 24 * label : 24 * (label + 1)] += 100
    made.labels[20:22] = 1 - made.labels[20:22]
    made.images[3], made.images[4] = made.images[20], made.images[22]
    return made


def test_evaluate_compares_with_the_labels_of_the_faces():
    faces = make_faces(num_classes=2, Training=10)
    faces.images[:] = 0
    for image, label in zip(faces.images, faces.labels, strict=True):
        image[:, 24 * label : 24 * (label + 1)] = 200
    assert evaluate(BrighterLeft(), faces, device=CPU).accuracy == 1.0
    faces.labels[0] = 1
    assert evaluate(BrighterLeft(), faces, device=CPU).accuracy == pytest.approx(0.9)


def test_clean_leaves_out_the_faces_that_also_stand_in_training(faces):
    measured = evaluate_split(BrighterLeft(), faces, "PublicTest", spec=SPEC)
    assert np.flatnonzero(~measured.is_clean).tolist() == [0, 2]
    official, clean = (measured.metrics["plain"][protocol] for protocol in ("official", "clean"))
    assert (official.num_faces, official.accuracy) == (10, pytest.approx(8 / 10))
    assert (clean.num_faces, clean.accuracy) == (8, pytest.approx(7 / 8))
    assert list(measured.metrics) == ["plain", "flip"]
    assert list(measured.official().per_class) == ["left", "right"]


def test_twins_are_sought_before_faces_are_resized(faces):
    """Two faces may become one when they shrink; they are no twins."""
    faces.images[5] = faces.images[25]
    faces.images[5, 0, 0] ^= 1
    small = SPEC | {"input": {"height": 24, "mean": 0.0, "std": 1.0}}
    measured = evaluate_split(BrighterLeft(), faces, "PublicTest", spec=small, views=("plain",))
    assert measured.faces.images.shape == (10, 24, 24)
    assert measured.is_clean[5]


def test_probabilities_and_rows_stay_in_the_order_of_the_split(faces):
    measured = evaluate_split(BrighterLeft(), faces, "PublicTest", spec=SPEC, views=("plain",))
    assert measured.faces.rows.tolist() == list(range(20, 30))
    assert (measured.probs().argmax(axis=1) == measured.faces.labels).tolist() == [False] * 2 + [True] * 8
    np.testing.assert_allclose(measured.probs().sum(axis=1), 1, rtol=1e-6)


def test_spec_holds_official_measures_with_the_clean_ones_inside(faces):
    content = evaluate_split(BrighterLeft(), faces, "PublicTest", spec=SPEC).for_spec()
    assert json.loads(json.dumps(content)) == content
    assert content["plain"]["accuracy"] == pytest.approx(8 / 10)
    assert content["plain"]["clean"]["accuracy"] == pytest.approx(7 / 8)
    assert set(content["flip"]["clean"]) == set(content["flip"]) - {"clean"}


def test_clean_is_not_invented_where_there_is_no_training_split(faces):
    alone = faces.select(faces.splits == "PublicTest")
    measured = evaluate_split(BrighterLeft(), alone, "PublicTest", spec=SPEC)
    assert measured.is_clean is None
    assert measured.why_not_clean == "this copy of the data has no split 'Training' to look for twins in"
    assert measured.metrics["plain"]["clean"] is None
    assert "clean" not in measured.for_spec()["plain"]


def test_clean_of_the_training_split_or_of_nothing_is_not_measurable(faces):
    with pytest.raises(DataError, match="Training is the training split itself"):
        mark_clean(faces, "Training", train_split="Training")
    faces.images[10:20] = faces.images[20:]
    with pytest.raises(DataError, match="every face of PublicTest also appears in Training"):
        mark_clean(faces, "PublicTest", train_split="Training")


def test_unknown_label_is_said_before_the_model_runs(faces):
    faces.labels[25] = 2
    with pytest.raises(DataError, match="PublicTest has label 2, the model has 2 classes, 0 to 1"):
        evaluate_split(None, faces, "PublicTest", spec=SPEC)


def test_absent_split(faces):
    with pytest.raises(SplitAbsentError, match="no split 'PrivateTest'"):
        evaluate_split(BrighterLeft(), faces, "PrivateTest", spec=SPEC)


def test_class_without_a_face_in_the_clean_rows(faces):
    faces.labels[20:] = 0
    faces.labels[20] = 1
    clean = evaluate_split(BrighterLeft(), faces, "PublicTest", spec=SPEC).metrics["plain"]["clean"]
    assert clean.per_class["right"]["support"] == 0
    assert clean.confusion[1] == [0, 0]
