"""Measure the reliability of confidence values: expected calibration error, Brier score, reliability bins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017 (arXiv 1706.04599)."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Values of the reliability diagram; bin b contains confidences in (b / B, (b + 1) / B].

    Attributes:
        counts: (B,) int64, number of faces in each bin.
        confidence: (B,) mean probability of the predicted class, 0 to 1; NaN for an empty bin.
        accuracy: (B,) share of right predictions, 0 to 1; NaN for an empty bin.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Return the expected calibration error, 0 (calibrated) to 1: mean gap between confidence and accuracy."""
        filled = self.counts > 0
        gaps = np.abs(self.confidence[filled] - self.accuracy[filled])
        return float(gaps @ self.counts[filled] / self.counts.sum())


def measure_reliability(
    probs: NDArray[np.floating], labels: NDArray[np.int64], *, num_bins: int = NUM_BINS
) -> Reliability:
    """Sort predictions by the probability of their top class into bins of equal width.

    Args:
        probs: (N, C), finite; rows sum to 1.
        labels: (N,) true classes.
        num_bins: B; Guo et al. use 15.
    """
    confidence = probs.max(axis=1).astype(np.float64)
    right = probs.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    divisor = np.where(counts > 0, counts, np.nan)
    return Reliability(
        counts=counts,
        confidence=np.bincount(bins, weights=confidence, minlength=num_bins) / divisor,
        accuracy=np.bincount(bins, weights=right, minlength=num_bins) / divisor,
    )


def calibration_error(probs: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the ECE of probs (N, C) over 15 bins, 0 to 1; NaN if a probability is not finite."""
    return measure_reliability(probs, labels).ece if np.isfinite(probs).all() else float("nan")


def brier_score(probs: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the Brier score of probs (N, C), 0 (certain and right) to 2 (certain and wrong).

    This is the mean over the faces of the squared errors summed over all classes (Brier 1950), which is twice the
    usual binary score.
    """
    truth = np.eye(probs.shape[1])[labels]
    return float(((probs.astype(np.float64) - truth) ** 2).sum(axis=1).mean())
