"""Percentiles, and the interval of a ratio between two engines that were measured in alternating pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True)
class Interval:
    """A value and the bounds that hold it with a confidence, 0.95 by default."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Return whether a value, such as 1 for a ratio, is outside of the bounds."""
        return not self.low <= value <= self.high


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the smallest value that `percent` % of all values do not exceed.

    Args:
        values: at least one.
        percent: 0 to 100.
    """
    return float(np.percentile(np.asarray(values, dtype=np.float64), percent, method="inverted_cdf"))


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], *, confidence: float = 0.95, seed: int = _SEED
) -> Interval:
    """Return the median over pairs of numerator / denominator, with a bootstrap interval over the pairs.

    Both values of a pair are measured one right after the other, so the load of the machine cancels out.

    Args:
        numerators: one value for each pair, such as the median latency of a window.
        denominators: as many, above 0.
        confidence: share of the resampled medians inside of the interval.
        seed: of the resampling; the same pairs give the same interval.
    """
    ratios = np.asarray(numerators, dtype=np.float64) / np.asarray(denominators, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(ratios), size=(_RESAMPLES, len(ratios)))
    medians = np.median(ratios[drawn], axis=1)
    outside = 100 * (1 - confidence) / 2
    low, high = np.percentile(medians, [outside, 100 - outside])
    return Interval(float(np.median(ratios)), float(low), float(high))
