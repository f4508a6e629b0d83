"""Cohen's kappa, accuracy and recall from confusion matrices, with bootstrap intervals by person."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEVEL: Final = 95.0
_PER_STEP: Final = 500
"""Bootstrap samples at once: memory stays small with many people."""


class Estimate(NamedTuple):
    """A value with its 95 % interval.

    Attributes:
        value: None where it is not defined, as the recall of a label that nobody coded.
        low, high: None where there are fewer than two people, for a recall two with this label.
    """

    value: float | None
    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        """The value with its interval, such as 0.61 (0.48 to 0.72)."""
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


class Measures(NamedTuple):
    """Agreement of one kind of label with the codes.

    Attributes:
        kappa: Cohen's, unweighted (Cohen 1960).
        accuracy: share of equal labels.
        recall: by label, share of the moments with this code whose result is the same.
    """

    kappa: Estimate
    accuracy: Estimate
    recall: dict[str, Estimate]


def kappa_of(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Cohen's kappa (...) of confusion matrices (..., C, C); NaN where both sides have a single label."""
    total = confusion.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (confusion.sum(axis=-1) * confusion.sum(axis=-2)).sum(axis=-1) / total**2
        observed = np.trace(confusion, axis1=-2, axis2=-1) / total
        return np.asarray((observed - expected) / (1 - expected))


def accuracy_of(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of equal labels (...) in confusion matrices (..., C, C)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1)))


def recall_of(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the recall (..., C) of each label in confusion matrices (..., C, C) whose rows are the codes."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.diagonal(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=-1))


def measures_from(by_person: NDArray[np.int64], labels: Sequence[str], *, num_samples: int, seed: int) -> Measures:
    """Return the measures over all people. The bootstrap draws people, since moments of one person are alike.

    Args:
        by_person: (P, C, C) confusion matrix of each person: rows are codes, columns results.
        labels: C of them.
        num_samples: of the bootstrap.
        seed: of the bootstrap.
    """
    confusion = by_person.sum(axis=0)
    point = _row(confusion)
    lows = highs = np.full(len(point), np.nan)
    if len(by_person) > 1:
        samples = np.concatenate([_row(one) for one in _resampled(by_person, num_samples, seed)])
        tail = (100 - _LEVEL) / 2
        known = ~np.isnan(samples).all(axis=0)
        known[2:] &= (by_person.sum(axis=2) > 0).sum(axis=0) > 1  # the recall of one person's label does not vary
        lows, highs = lows.copy(), highs.copy()
        lows[known], highs[known] = np.nanpercentile(samples[:, known], [tail, 100 - tail], axis=0)
    found = [Estimate(*map(_known, row)) for row in zip(point, lows, highs, strict=True)]
    return Measures(found[0], found[1], dict(zip(labels, found[2:], strict=True)))


def _resampled(by_person: NDArray[np.int64], num_samples: int, seed: int) -> list[NDArray[np.int64]]:
    """Return confusion matrices (S, C, C) of samples of people, drawn with replacement."""
    random, num = np.random.default_rng(seed), len(by_person)
    steps = [min(_PER_STEP, num_samples - start) for start in range(0, num_samples, _PER_STEP)]
    drawn = (random.multinomial(num, np.full(num, 1 / num), size=step) for step in steps)
    return [np.tensordot(times, by_person, axes=1) for times in drawn]


def _row(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return kappa, accuracy and the recalls (..., 2 + C)."""
    first = np.stack([kappa_of(confusion), accuracy_of(confusion)], axis=-1)
    return np.concatenate([first, recall_of(confusion)], axis=-1)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
