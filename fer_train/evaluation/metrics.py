"""Compute metrics of logits against labels, with confidence intervals from resampled faces."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fer_train.data.faces import labels_for
from fer_train.errors import DataError
from fer_train.evaluation.reliability import brier_score, calibration_error

NUM_RESAMPLES = 2000
BOOTSTRAP_SEED = 0
_INTERVAL = (2.5, 97.5)
"""Percentiles of the 95 % interval."""


@dataclass(frozen=True)
class Metrics:
    """Metrics of one model on one set of faces. Averages are macro: every class has the same weight.

    Attributes:
        num_faces: number of measured faces.
        loss: mean cross-entropy in nats, without label smoothing.
        accuracy, f1, precision, recall: 0 to 1; f1, precision and recall are macro averages.
        ece: expected calibration error over 15 bins, 0 (calibrated) to 1 (Guo et al. 2017).
        brier: Brier score over all classes, 0 to 2; lower is better (Brier 1950).
        accuracy_interval, f1_interval: [low, high], the 95 % percentile interval of the bootstrap.
        per_class: precision, recall, f1 and support of each label.
        confusion: counts, row = true label, column = predicted label.
    """

    num_faces: int
    loss: float
    accuracy: float
    f1: float
    precision: float
    recall: float
    ece: float
    brier: float
    accuracy_interval: list[float]
    f1_interval: list[float]
    per_class: dict[str, dict[str, float]]
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class VoteFit:
    """Fit of predictions to the votes of FER+'s taggers, on every face in which most taggers saw an emotion.

    Attributes:
        num_faces: number of measured faces.
        kl: mean KL(votes || model) in nats; 0 if the probability of each class equals its share of the votes.
        agreement: mean share of the taggers who chose the model's top class, 0 to 1.
        best_agreement: the same for predictions that always equal the taggers' first choice.
    """

    num_faces: int
    kl: float
    agreement: float
    best_agreement: float


def fit_to_votes(logits: NDArray[np.float32], shares: NDArray[np.float32]) -> VoteFit:
    """Compare logits (N, C) with the shares of the votes (N, C), whose rows sum to 1."""
    log_q = F.log_softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    p = shares.astype(np.float64)
    kl = np.where(p > 0, p * (np.log(np.maximum(p, 1e-12)) - log_q), 0.0).sum(axis=1)
    chosen = p[np.arange(len(p)), logits.argmax(axis=1)]
    return VoteFit(len(p), float(kl.mean()), float(chosen.mean()), float(p.max(axis=1).mean()))


def measure(logits: NDArray[np.float32], labels: NDArray[np.int64], *, names: Sequence[str] | None = None) -> Metrics:
    """Compare logits (N, C) with labels (N,), N at least 1.

    A class without any face or prediction counts as 0 in the averages. `names` are the class names in `per_class`;
    None: `labels_for(C)`.

    Raises:
        DataError: a label has no class in the model.
    """
    num_classes = logits.shape[1]
    if labels.max() >= num_classes:
        raise DataError(
            f"the data have label {labels.max()}, the model has {num_classes} classes, 0 to {num_classes - 1}"
        )
    predicted = logits.argmax(axis=1)
    pairs = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    confusion = pairs.reshape(num_classes, num_classes).astype(np.int64)
    precision, recall, f1 = class_scores(confusion)
    support = confusion.sum(axis=1).astype(np.float64)
    accuracy_interval, f1_interval = bootstrap_intervals(confusion)
    probs = probs_from_logits(logits)
    return Metrics(
        num_faces=len(labels),
        loss=float(F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))),
        accuracy=float((predicted == labels).mean()),
        f1=float(f1.mean()),
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        ece=calibration_error(probs, labels),
        brier=brier_score(probs, labels),
        accuracy_interval=accuracy_interval,
        f1_interval=f1_interval,
        per_class={
            name: {"precision": precision[c], "recall": recall[c], "f1": f1[c], "support": support[c]}
            for c, name in enumerate(names or labels_for(num_classes))
        },
        confusion=confusion.tolist(),
    )


def probs_from_logits(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return softmax probabilities (N, C) of logits (N, C)."""
    return np.asarray(F.softmax(torch.from_numpy(logits), dim=1).numpy(), dtype=np.float32)


def class_scores(
    confusion: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision, recall and F1 of each class, (..., C) each; 0 where nothing can be divided.

    `confusion` is (..., C, C): faces by true and by predicted class, as `Metrics.confusion`.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(true, 1)
    return precision, recall, 2 * hits / np.maximum(true + predicted, 1)


def bootstrap_intervals(
    confusion: NDArray[np.int64], *, num_resamples: int = NUM_RESAMPLES, seed: int = BOOTSTRAP_SEED
) -> tuple[list[float], list[float]]:
    """Return the 95 % percentile intervals [low, high] of accuracy and of macro-F1.

    Both depend on the faces only through the confusion counts (C, C). For faces drawn with replacement these counts
    are multinomial, so each resample draws C * C counts instead of N faces.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    num_faces = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(num_faces, counts.ravel() / num_faces, size=num_resamples)
    drawn = draws.reshape(num_resamples, *counts.shape)
    _, _, f1 = class_scores(drawn)
    accuracy = np.trace(drawn, axis1=1, axis2=2) / num_faces
    return _bounds(accuracy), _bounds(f1.mean(axis=1))


def _bounds(values: NDArray[np.float64]) -> list[float]:
    return [float(bound) for bound in np.percentile(values, _INTERVAL)]
