import pickle

import numpy as np
import pytest

from fer_deploy.vision.probabilities import Probabilities

LABELS = ("sad", "happy", "neutral")


def test_one_face_by_label_by_number_and_as_a_dict():
    probs = Probabilities.from_dict({"sad": 0.25, "happy": 0.5, "neutral": 0.25})
    assert (probs.labels, probs.shape) == (LABELS, (3,))
    assert (probs["happy"], probs[1], probs.argmax(), probs.sum()) == (0.5, 0.5, 1, 1.0)
    assert probs.as_dict() == {"sad": 0.25, "happy": 0.5, "neutral": 0.25}
    assert type(probs["happy"]) is float


def test_several_faces_by_label():
    probs = Probabilities.of(np.array([[1, 0, 0], [0, 0.75, 0.25]], dtype=np.float32), LABELS)
    np.testing.assert_array_equal(probs["happy"], [0, 0.75])
    assert (probs.dtype, probs[1].labels, probs[1]["neutral"], probs[:1].labels) == (np.float32, LABELS, 0.25, LABELS)


def test_what_has_other_columns_has_no_labels():
    probs = Probabilities.of(np.eye(3), LABELS)
    assert probs[:, :2].labels == () == probs.sum().labels


def test_unknown_labels_and_wrong_lengths_are_told():
    with pytest.raises(KeyError, match="no label 'angry'; the labels are sad, happy, neutral"):
        Probabilities.of([0.5, 0.25, 0.25], LABELS)["angry"]
    with pytest.raises(ValueError, match=r"3 labels for probabilities of shape \(2,\)"):
        Probabilities.of([0.5, 0.5], LABELS)


def test_the_labels_survive_pickle_and_copies():
    probs = Probabilities.of(np.eye(3), LABELS)
    for same in (pickle.loads(pickle.dumps(probs)), probs.copy()):
        assert same.labels == LABELS
        np.testing.assert_array_equal(same, probs)
