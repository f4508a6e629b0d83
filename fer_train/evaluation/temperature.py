"""Fit a temperature that makes confidence agree with accuracy (Guo et al. 2017, arXiv 1706.04599).

Probabilities are softmax(logits / temperature). The temperature changes the confidence, never the predicted class.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.isotonic import IsotonicRegression

from fer_train.evaluation.reliability import NUM_BINS

_BOUNDS = (0.05, 20.0)
_EVEN_ODDS = 0.5


@dataclass(frozen=True)
class Calibrated:
    """Result of the fit.

    Attributes:
        split: split of the faces of the fit.
        against: targets of the fit: "fer2013" (labels) or "ferplus" (shares of taggers).
        num_faces: number of these faces.
        temperature: divisor of the logits.
        unsure_below: confidence, 0 to 1, below which the prediction is right in fewer than half of the cases.
        nll_before, nll_after: mean cross-entropy in nats at temperature 1 and at the fitted one.
        ece_before, ece_after: expected calibration error over 15 bins, 0 to 1.
    """

    split: str
    against: str
    num_faces: int
    temperature: float
    unsure_below: float
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def fit_calibration(
    logits: NDArray[np.float32], targets: NDArray[np.float32], *, split: str, against: str
) -> Calibrated:
    """Fit the temperature that minimizes the cross-entropy.

    Args:
        logits: (N, C), for faces that were not used in training.
        targets: (N, C), the share of each class; rows sum to 1: one-hot labels, or shares of votes.
        split: name of the split, for the result.
        against: see `Calibrated`.
    """
    found = minimize_scalar(
        lambda log_t: cross_entropy(logits / np.exp(log_t), targets), bounds=tuple(np.log(_BOUNDS)), method="bounded"
    )
    temperature = float(np.exp(found.x))
    return Calibrated(
        split=split,
        against=against,
        num_faces=len(logits),
        temperature=temperature,
        unsure_below=_even_odds(logits / temperature, targets),
        nll_before=cross_entropy(logits, targets),
        nll_after=cross_entropy(logits / temperature, targets),
        ece_before=soft_calibration_error(logits, targets),
        ece_after=soft_calibration_error(logits / temperature, targets),
    )


def cross_entropy(logits: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Return the mean cross-entropy in nats of logits (N, C) against targets (N, C)."""
    return float(-(targets * log_softmax(logits.astype(np.float64), axis=1)).sum(axis=1).mean())


def soft_calibration_error(logits: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Return the ECE over 15 bins: mean gap between confidence and the target's share of the chosen class."""
    confidence, right = _confidence_and_right(logits, targets)
    bins = np.clip(np.ceil(confidence * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _confidence_and_right(
    logits: NDArray[np.floating], targets: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    probs = np.exp(log_softmax(logits.astype(np.float64), axis=1))
    return probs.max(axis=1), targets[np.arange(len(targets)), logits.argmax(axis=1)].astype(np.float64)


def _even_odds(logits: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Return the confidence below which the predicted class is the target's first choice for less than half the faces.

    Accuracy as a function of confidence is an isotonic regression: it never falls with growing confidence, so a few
    confident mistakes do not move the limit.
    """
    confidence, _ = _confidence_and_right(logits, targets)
    right = (logits.argmax(axis=1) == targets.argmax(axis=1)).astype(np.float64)
    accuracy = IsotonicRegression().fit_transform(confidence, right)
    below = confidence[accuracy < _EVEN_ODDS]
    return round(float(below.max()), 2) if len(below) else 0.0
