import dataclasses

import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.data.consensus import relabel_by_votes
from fer_train.data.readers.ferplus import VOTES
from fer_train.data.targets import class_weights, training_targets
from fer_train.errors import ConfigError


def targets(faces, **changes):
    return training_targets(faces, tiny_config(**({"label_smoothing": 0.0} | changes)))


def votes_of(**counts):
    return [counts.get(name, 0) for name in VOTES]


def with_votes(*rows):
    faces = make_faces(Training=len(rows))
    return dataclasses.replace(faces, votes=np.array(rows, dtype=np.uint8))


def test_plain_targets_are_one_hot():
    faces = make_faces(Training=10)
    found = targets(faces)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.eye(7)[faces.labels])


def test_label_smoothing_spreads_its_share_over_all_classes():
    found = targets(make_faces(Training=7), label_smoothing=0.14)
    np.testing.assert_allclose(found.diagonal(), 0.86 + 0.02, rtol=1e-6)
    np.testing.assert_allclose(found[0, 1:], 0.02, rtol=1e-6)


def test_votes_are_blended_with_the_label_in_their_share():
    faces = with_votes(votes_of(fear=5, neutral=5))  # its label is angry
    found = targets(faces, ferplus_share=0.4, ferplus_votes="as_cast")
    np.testing.assert_allclose(found[0], [0.6, 0, 0.2, 0, 0, 0, 0.2], rtol=1e-6)


def test_face_without_a_usable_vote_keeps_its_label():
    np.testing.assert_allclose(
        targets(with_votes(votes_of(NF=10)), ferplus_share=1.0, ferplus_votes="as_cast")[0], np.eye(7)[0]
    )


def test_votes_are_translated_unless_wanted_as_cast():
    faces = make_faces(Training=40)
    faces.labels[:] = [4, 6] * 20  # sad or neutral: FER+'s taggers, here, call all of them neutral or worse
    votes = np.array([votes_of(neutral=10), votes_of(contempt=10)] * 20, dtype=np.uint8)
    found = targets(dataclasses.replace(faces, votes=votes), ferplus_share=1.0)
    assert (found[:2, [4, 6]].argmax(1) == [0, 1]).all()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-3)


def test_votes_that_are_there_but_not_asked_for_change_nothing():
    np.testing.assert_array_equal(targets(with_votes(votes_of(fear=10)))[0], np.eye(7)[0])


def test_votes_asked_for_and_not_given():
    with pytest.raises(ConfigError, match=r"ferplus_share is 0\.5 but no votes were given\. Fix: --ferplus FILE, or 0"):
        targets(make_faces(), ferplus_share=0.5)


def test_votes_of_other_classes():
    with pytest.raises(ConfigError, match="ferplus_share needs FER2013's seven classes, num_classes is 8"):
        targets(with_votes(votes_of(fear=1)), ferplus_share=0.5, num_classes=8)


def test_class_weights_make_each_class_weigh_the_same_and_average_to_one():
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = class_weights(labels, 5)
    np.testing.assert_allclose([weights[c] * (labels == c).sum() for c in (0, 1, 3)], 10 / 3)
    assert weights[2] == weights[4] == 0
    assert weights[labels].mean() == pytest.approx(1)


def test_balanced_targets_are_weighted_rows():
    faces = make_faces(Training=10)
    faces.labels[:] = [0] * 9 + [1]
    found = targets(faces, class_weights="balanced", label_smoothing=0.1)
    np.testing.assert_allclose(found.sum(1), [10 / 18] * 9 + [5], rtol=1e-5)
    np.testing.assert_allclose(found[9] / 5, targets(faces, label_smoothing=0.1)[9], rtol=1e-5)


FERPLUS = {"labels": "ferplus", "num_classes": 8}


def test_faces_with_labels_of_ferplus_have_their_votes_as_targets():
    rows = [votes_of(contempt=4, anger=4, unknown=1, NF=1), votes_of(happiness=10), votes_of(fear=6, neutral=3)]
    faces = relabel_by_votes(with_votes(*rows), train_split="Training")
    wanted = np.zeros((3, 8))
    wanted[0, [0, 7]] = 0.5
    wanted[1, 3] = 1
    wanted[2, [2, 6]] = 2 / 3, 1 / 3
    np.testing.assert_allclose(targets(faces, **FERPLUS), wanted, rtol=1e-6)
    smooth = targets(faces, label_smoothing=0.08, **FERPLUS)
    np.testing.assert_allclose(smooth, 0.92 * wanted + 0.01, rtol=1e-5)


def test_votes_are_weighted_by_the_class_that_has_most_of_them():
    rows = [votes_of(happiness=8, fear=2)] * 3 + [votes_of(contempt=8, fear=2)]
    found = targets(relabel_by_votes(with_votes(*rows), train_split="Training"), class_weights="balanced", **FERPLUS)
    np.testing.assert_allclose(found.sum(axis=1), [2 / 3] * 3 + [2], rtol=1e-5)


def test_teachers_alone_leave_labels_of_fer2013_in_eight_columns():
    np.testing.assert_array_equal(targets(make_faces(Training=7), **FERPLUS), np.eye(8)[:7])
