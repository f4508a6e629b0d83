"""FER+'s majority protocol against a transcription of its authors' rule, and what becomes of faces under it."""

import dataclasses

import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces

from fer_train.data.consensus import (
    NO_MAJORITY,
    has_majority,
    majority_faces,
    majority_labels,
    own_faces,
    plurality_labels,
    relabel_by_votes,
    require_votes,
    shares_of,
    vote_shares,
)
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS
from fer_train.data.readers.ferplus import VOTES
from fer_train.errors import DataError

NAMES = {
    "anger": "angry",
    "happiness": "happy",
    "sadness": "sad",
    "disgust": "disgust",
    "fear": "fear",
    "surprise": "surprise",
    "neutral": "neutral",
    "contempt": "contempt",
}


def votes_of(**counts):
    return [counts.get(name, 0) for name in VOTES]


def rule_of_the_authors(row):
    """`_process_data` of FER+'s ferplus.py in mode "majority", in plain Python: a class name, or None."""
    counts = [count if count > 1 else 0 for count in row]
    top = max(counts)
    if top <= 0.5 * sum(counts):
        return None
    return NAMES.get(VOTES[counts.index(top)])


def name_of(label):
    return None if label == NO_MAJORITY else FERPLUS_EMOTIONS[label]


def test_majority_is_the_rule_of_the_authors():
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.full(len(VOTES), 0.3), size=4000)
    votes = np.array([rng.multinomial(rng.integers(0, 11), row) for row in shares], dtype=np.uint8)
    found = [name_of(label) for label in majority_labels(votes)]
    assert found == [rule_of_the_authors(row) for row in votes.tolist()]
    assert set(found) == {None, *FERPLUS_EMOTIONS}


@pytest.mark.parametrize(
    ("votes", "majority", "plurality"),
    [
        (votes_of(anger=5, fear=5), None, "angry"),  # a tie of halves
        (votes_of(anger=5, fear=1, sadness=1, neutral=1, happiness=1, disgust=1), "angry", "angry"),  # ones are dropped
        (votes_of(fear=4, anger=3, sadness=3), None, "fear"),
        (votes_of(unknown=6, fear=4), None, None),
        (votes_of(NF=10), None, None),
        (votes_of(contempt=6, neutral=4), "contempt", "contempt"),
        (votes_of(happiness=1), None, "happy"),  # the only vote is that of one tagger
        (votes_of(), None, None),
        (votes_of(neutral=250, fear=200), "neutral", "neutral"),  # sums beyond a byte
    ],
)
def test_single_faces(votes, majority, plurality):
    rows = np.array([votes], dtype=np.uint8)
    assert name_of(majority_labels(rows)[0]) == majority
    assert name_of(plurality_labels(rows)[0]) == plurality


def with_votes(votes, splits):
    faces = make_faces(Training=len(votes))
    return dataclasses.replace(faces, votes=np.array(votes, dtype=np.uint8), splits=np.array(splits))


def test_training_keeps_what_most_call_an_emotion_and_other_splits_what_has_a_majority():
    rows = [votes_of(fear=4, anger=3, sadness=3), votes_of(NF=10), votes_of(contempt=9, fear=1), votes_of()]
    kept = relabel_by_votes(with_votes(rows * 2, ["Training"] * 4 + ["PublicTest"] * 4), train_split="Training")
    assert kept.label_set == "ferplus"
    assert kept.rows.tolist() == [0, 2, 6]
    assert [FERPLUS_EMOTIONS[label] for label in kept.labels] == ["fear", "contempt", "contempt"]
    assert kept.votes.tolist() == [rows[0], rows[2], rows[2]]
    assert has_majority(kept).tolist() == [False, True, True]
    assert has_majority(make_faces(Training=3)).all()


def test_faces_without_votes_or_a_majority_are_refused():
    for refused in (lambda f: relabel_by_votes(f, train_split="Training"), require_votes):
        with pytest.raises(DataError, match=r"need its taggers' votes, and none were given. Fix: --ferplus fer2013new"):
            refused(make_faces())
    torn = with_votes([votes_of(fear=5, anger=5)], ["PublicTest"])
    with pytest.raises(DataError, match=r"give no face of PublicTest a majority\. Fix: the votes of this data"):
        majority_faces(torn, "PublicTest")


def test_a_model_is_judged_by_the_labels_of_its_family():
    rows = [votes_of(fear=9), votes_of(contempt=9), votes_of(fear=5, anger=5)]
    faces = with_votes(rows, ["PublicTest", "PublicTest", "PublicTest"])
    plain = own_faces(faces, "PublicTest", {"labels": EMOTIONS, "label_set": "fer2013"})
    assert (plain.label_set, plain.labels.tolist()) == ("fer2013", faces.labels.tolist())
    voted = own_faces(faces, "PublicTest", {"labels": FERPLUS_EMOTIONS, "label_set": "ferplus"})
    assert (voted.label_set, [FERPLUS_EMOTIONS[one] for one in voted.labels]) == ("ferplus", ["fear", "contempt"])
    unknown = own_faces(faces, "PublicTest", {"labels": list(EMOTIONS)})
    assert unknown.label_set == "fer2013"


def test_a_model_is_not_judged_without_the_votes_or_with_other_classes():
    with pytest.raises(DataError, match=r"none were given\. Fix: --ferplus fer2013new\.csv"):
        own_faces(make_faces(), "PublicTest", {"labels": FERPLUS_EMOTIONS, "label_set": "ferplus"})
    with pytest.raises(DataError, match=r"the classes dark, bright; expected angry, .*\. Fix: a model of FER2013's"):
        own_faces(make_faces(), "PublicTest", {"labels": ("dark", "bright")})


def test_shares_are_of_the_votes_for_an_emotion():
    votes = np.array([votes_of(contempt=4, fear=4, unknown=1, NF=1), votes_of(NF=10)], dtype=np.uint8)
    wanted = np.zeros((2, 8))
    wanted[0, [2, 7]] = 0.5
    np.testing.assert_allclose(vote_shares(votes), wanted)
    np.testing.assert_allclose(vote_shares(votes, 7)[0], np.eye(7)[2])
    assert vote_shares(votes).dtype == np.float32


def test_shares_of_some_classes_leave_out_faces_that_have_none_of_them():
    rows = [votes_of(fear=6, contempt=4), votes_of(contempt=10), votes_of(NF=6, fear=4)]
    keep, shares = shares_of(np.array(rows, dtype=np.uint8), ["happy", "fear"])
    assert keep.tolist() == [True, False, False]
    np.testing.assert_allclose(shares, [[0, 1]])
