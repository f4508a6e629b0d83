"""Compute FER+'s consensus: the label of the majority of ten taggers, by the protocol of FER+'s authors.

Protocol (github.com/microsoft/FERPlus, `ferplus.py`, mode "majority"): a class with a single vote loses that vote.
The class with more than half of the remaining votes is the label. Faces without such a class, and those whose class
is "unknown" or "not a face", are left out. The protocol keeps 25,060 faces of Training, 3,199 of PublicTest and 3,153
of PrivateTest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import FERPLUS_EMOTIONS, LABEL_SETS, Faces, own_label_set
from fer_train.data.readers.vote_columns import VOTES
from fer_train.data.splits import take_split
from fer_train.errors import DataError

_VOTE_OF = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
    "contempt": "contempt",
}
COLUMNS = tuple(VOTES.index(_VOTE_OF[name]) for name in FERPLUS_EMOTIONS)
"""FER+'s vote columns in the order of `FERPLUS_EMOTIONS`; "unknown" and "not a face" are not emotions."""
NO_MAJORITY = -1


def majority_labels(votes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return (N,): the majority class, an index into `FERPLUS_EMOTIONS`, or -1 without a majority.

    Args:
        votes: (N, 10) counts in the order of `ferplus.VOTES`.
    """
    counts = np.where(votes > 1, votes, 0).astype(np.int64)
    top = counts.argmax(axis=1)
    has_majority = 2 * counts.max(axis=1) > counts.sum(axis=1)
    return np.where(has_majority, _CLASS_OF_COLUMN[top], NO_MAJORITY)


def plurality_labels(votes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return (N,): the class with the most votes; -1 without votes, or if "unknown" or "not a face" has the most."""
    return np.where(votes.any(axis=1), _CLASS_OF_COLUMN[votes.argmax(axis=1)], NO_MAJORITY)


def majority_faces(faces: Faces, split: str) -> Faces:
    """Return the faces of one split that have a majority, which becomes their label.

    Raises:
        DataError: the faces have no votes, or no face has a majority.
    """
    labels = majority_labels(require_votes(faces))
    if not (labels != NO_MAJORITY).any():
        raise DataError(f"FER+'s votes give no face of {split} a majority. Fix: the votes of this data")
    return replace(faces, labels=labels, label_set="ferplus").select(labels != NO_MAJORITY)


def own_faces(faces: Faces, split: str, spec: Mapping[str, Any]) -> Faces:
    """Return the faces of a split with the labels of the model's own family; they are numbers of its own classes.

    A model of FER+'s votes is judged by their majority, on the faces that have one; every other by the data's labels.

    Args:
        faces: all splits; with votes for a model of FER+'s votes.
        split: name of the split.
        spec: the model's ModelSpec.

    Raises:
        SplitAbsentError: the data have no such split.
        DataError: the votes are needed and absent, or the model has other classes than its label set.
    """
    own = own_label_set(spec)
    if tuple(spec["labels"]) != LABEL_SETS[own]:
        raise DataError(
            f"the model has the classes {', '.join(spec['labels'])}; expected {', '.join(LABEL_SETS[own])}. "
            "Fix: a model of FER2013's labels or of FER+'s votes"
        )
    chosen = take_split(faces, split)
    return majority_faces(chosen, split) if own == "ferplus" else chosen


def has_majority(faces: Faces) -> NDArray[np.bool_]:
    """Return (N,) bool: the faces that have a label of their label set; for FER+'s, those with a majority."""
    if faces.label_set != "ferplus" or faces.votes is None:
        return np.ones(len(faces), dtype=bool)
    return np.asarray(majority_labels(faces.votes) != NO_MAJORITY)


def relabel_by_votes(faces: Faces, *, train_split: str) -> Faces:
    """Return the faces with FER+'s labels; faces without such a label are left out.

    The training split keeps every face whose most frequent vote is an emotion, because training uses the votes, not
    this label. Other splits keep the faces that have a majority.

    Raises:
        DataError: the faces have no votes.
    """
    votes = require_votes(faces)
    is_training = faces.splits == train_split
    labels = np.where(is_training, plurality_labels(votes), majority_labels(votes))
    return replace(faces, labels=labels, label_set="ferplus").select(labels != NO_MAJORITY)


def require_votes(faces: Faces) -> NDArray[np.uint8]:
    """Return the votes (N, 10) uint8 of the faces.

    Raises:
        DataError: the faces have no votes.
    """
    if faces.votes is None:
        raise DataError(
            "FER+'s labels need its taggers' votes, and none were given. "
            "Fix: --ferplus fer2013new.csv (github.com/microsoft/FERPlus)"
        )
    return faces.votes


def vote_shares(votes: NDArray[np.uint8], num_classes: int = len(FERPLUS_EMOTIONS)) -> NDArray[np.float32]:
    """Return (N, num_classes): the share of each class among the votes for these classes; 0 without such votes.

    Args:
        votes: (N, 10) counts in the order of `ferplus.VOTES`.
        num_classes: how many of `FERPLUS_EMOTIONS`, from the first; 7 are FER2013's classes.
    """
    counts = votes[:, COLUMNS[:num_classes]].astype(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.zeros_like(counts)
    np.divide(counts, total, out=shares, where=total > 0)
    return shares


def shares_of(votes: NDArray[np.uint8], names: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return (N,) bool, the faces in which most taggers saw an emotion, and (n, C), their shares of `names`.

    Rows sum to 1; faces with votes for other classes only are left out. `names` are a subset of `FERPLUS_EMOTIONS`.
    """
    shares = vote_shares(votes)[:, [FERPLUS_EMOTIONS.index(name) for name in names]]
    keep = (plurality_labels(votes) != NO_MAJORITY) & shares.any(axis=1)
    return keep, shares[keep] / shares[keep].sum(axis=1, keepdims=True)


def _class_of_column() -> NDArray[np.int64]:
    classes = np.full(len(VOTES), NO_MAJORITY, dtype=np.int64)
    classes[list(COLUMNS)] = np.arange(len(COLUMNS))
    return classes


_CLASS_OF_COLUMN = _class_of_column()
