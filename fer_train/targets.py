"""What each training face shall be taken for: (N, C) targets from labels, FER+ votes, smoothing and class weights."""

import numpy as np
from numpy.typing import NDArray

from fer_train.config import TrainConfig
from fer_train.data.faces import Faces
from fer_train.data.ferplus import VOTES
from fer_train.errors import ConfigError

_VOTES_OF_EMOTIONS = tuple(
    VOTES.index(name) for name in ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
)
"""FER+'s columns in the order of FER2013's labels; contempt, unknown and "not a face" have no label there."""


def training_targets(train: Faces, config: TrainConfig) -> NDArray[np.float32]:
    """Return (N, C) float32: for each face the share of each class, times the weight of the face in the loss.

    Cross-entropy is linear in its target, so a row that sums to w counts w times. Weights average to 1 over the faces.

    Raises:
        ConfigError: `ferplus_share` without votes, or with other than FER2013's seven classes.
    """
    targets = np.eye(config.num_classes, dtype=np.float32)[train.labels]
    if config.ferplus_share:
        targets = _blend_votes(targets, train, config)
    targets = (1 - config.label_smoothing) * targets + config.label_smoothing / config.num_classes
    if config.class_weights == "balanced":
        targets *= class_weights(train.labels, config.num_classes)[train.labels, None]
    return targets.astype(np.float32)


def class_weights(labels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    """Return (C,): N / (number of classes present x faces of the class); 0 for a class without faces."""
    counts = np.bincount(labels, minlength=num_classes)
    present = np.count_nonzero(counts)
    weights = np.zeros(num_classes)
    np.divide(len(labels), present * counts, out=weights, where=counts > 0)
    return weights


def vote_shares(votes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (N, 7): the shares of FER2013's classes among those votes that went to one of them; 0 where none did."""
    counts = votes[:, _VOTES_OF_EMOTIONS].astype(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.zeros_like(counts)
    np.divide(counts, total, out=shares, where=total > 0)
    return shares


def _blend_votes(targets: NDArray[np.float32], train: Faces, config: TrainConfig) -> NDArray[np.float32]:
    if train.votes is None:
        raise ConfigError(f"ferplus_share is {config.ferplus_share} but no votes were given. Fix: --ferplus FILE, or 0")
    if config.num_classes != len(_VOTES_OF_EMOTIONS):
        raise ConfigError(f"ferplus_share needs FER2013's seven classes, num_classes is {config.num_classes}")
    shares = vote_shares(train.votes)
    share = np.where(shares.any(axis=1, keepdims=True), config.ferplus_share, 0.0)
    return ((1 - share) * targets + share * shares).astype(np.float32)
