import multiprocessing

import numpy as np
import pytest
from unit.fer_train.audit.made_faces import blob_faces, right_probs, with_votes

from fer_train.audit.labels import find_label_errors
from fer_train.audit.predictions import Predictions
from fer_train.errors import DataError


def search(faces, indices, probs, label_filter="low_normalized_margin"):
    return find_label_errors(faces, Predictions(np.asarray(indices), probs), label_filter)


@pytest.fixture
def faces():
    return blob_faces(num_training=140, num_public=7)


def accuse(probs, place, predicted, confidence):
    probs[place] = (1 - confidence) / 6
    probs[place, predicted] = confidence


@pytest.mark.parametrize("label_filter", ["low_normalized_margin", "prune_by_noise_rate", "confident_learning"])
def test_contradicted_labels_are_found_the_worst_first_at_their_place_in_the_data(faces, label_filter):
    indices = np.arange(139, -1, -1)  # predictions in another order than the data
    probs = right_probs(faces.labels[indices])
    accuse(probs, 10, (faces.labels[129] + 1) % 7, 0.95)
    accuse(probs, 20, (faces.labels[119] + 1) % 7, 0.99)
    found = search(faces, indices, probs, label_filter)
    assert [finding.index for finding in found] == [119, 129]
    assert found[0].detail == "angry (0.00), predicted disgust (0.99)"
    assert found[0].caption == "angry->disgust"


def test_predictions_that_agree_accuse_nobody(faces):
    assert search(faces, np.arange(140), right_probs(faces.labels[:140])) == []


def test_what_ferplus_taggers_said_is_told(faces):
    probs = right_probs(faces.labels[:140])
    accuse(probs, 0, 3, 0.99)
    voted = with_votes(faces)
    voted.votes[0] = [4, 4, 1, 0, 0, 0, 0, 0, 0, 0]
    [found] = search(voted, np.arange(140), probs)
    assert found.detail.endswith("; 4 of 9 FER+ votes for neutral and for happiness")


def test_classes_without_predictions_are_no_obstacle(faces):
    chosen = np.flatnonzero(np.isin(faces.labels, (2, 5)))
    probs = right_probs(faces.labels[chosen])
    accuse(probs, 0, 5, 0.99)
    assert [finding.index for finding in search(faces, chosen, probs)] == [2]


def test_single_class_is_refused(faces):
    chosen = np.flatnonzero(faces.labels == 3)
    with pytest.raises(DataError, match="all predictions are for 'happy' faces; label errors need two classes or more"):
        search(faces, chosen, right_probs(faces.labels[chosen]))


def test_no_process_is_started(faces, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a process pool was opened")

    monkeypatch.setattr(multiprocessing, "Pool", refuse)
    probs = right_probs(faces.labels[:140])
    accuse(probs, 0, 3, 0.99)
    assert len(search(faces, np.arange(140), probs, "both")) == 1
