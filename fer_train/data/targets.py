"""Compute training targets (N, C) from labels or FER+'s votes, with smoothing and class weights."""

import numpy as np
from numpy.typing import NDArray

from fer_train.config import TrainConfig
from fer_train.data.consensus import vote_shares
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.votes import translated_votes
from fer_train.errors import ConfigError


def training_targets(train: Faces, config: TrainConfig) -> NDArray[np.float32]:
    """Return (N, C) float32: the share of each class, times the weight of the face in the loss.

    Faces with FER+'s labels have their votes as targets; see `consensus.relabel_by_votes`.

    Cross-entropy is linear in its target, so a row with the sum w counts w times. The mean weight is 1.

    Raises:
        ConfigError: `ferplus_share` without votes, or with other classes than FER2013's seven.
    """
    if train.label_set == "ferplus" and train.votes is not None:
        targets = vote_shares(train.votes, config.num_classes)
    else:
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


def _blend_votes(targets: NDArray[np.float32], train: Faces, config: TrainConfig) -> NDArray[np.float32]:
    if train.votes is None:
        raise ConfigError(f"ferplus_share is {config.ferplus_share} but no votes were given. Fix: --ferplus FILE, or 0")
    if config.num_classes != len(EMOTIONS):
        raise ConfigError(f"ferplus_share needs FER2013's seven classes, num_classes is {config.num_classes}")
    as_labels = config.ferplus_votes == "translated"
    shares = translated_votes(train.votes, train.labels) if as_labels else vote_shares(train.votes, config.num_classes)
    share = np.where(shares.any(axis=1, keepdims=True), config.ferplus_share, 0.0)
    return ((1 - share) * targets + share * shares).astype(np.float32)
