"""FrozenWatch detects a source that repeats one frame; Backoff sets the delays between reconnections."""

import random

import numpy as np
from numpy.typing import NDArray

SAMPLE_ROWS = 16
"""Every 16th row is compared first: a camera's noise makes them differ, so the whole frame is rarely compared."""
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0
GOOD_S = 10.0
"""After this time without a failure the next one counts as the first."""


class FrozenWatch:
    """Detects bit-identical frames in a row; a working camera has noise, even with a still scene."""

    def __init__(self) -> None:
        self._picture: NDArray[np.uint8] | None = None
        self._since_s = 0.0

    def still_s(self, picture_bgr: NDArray[np.uint8], now_s: float) -> float:
        """Compare the next frame with the previous one, and return for how many seconds the frame has been the same.

        The frame is stored without a copy, so it must not be changed.
        """
        if self._picture is None or not _are_equal(picture_bgr, self._picture):
            self._since_s = now_s
        self._picture = picture_bgr
        return now_s - self._since_s


def _are_equal(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    return np.array_equal(a[::SAMPLE_ROWS], b[::SAMPLE_ROWS]) and np.array_equal(a, b)


class Backoff:
    """Delays between attempts: exponential, with full jitter, so that many cameras do not reconnect at once.

    Attributes:
        num_failures: failures in a row.
    """

    def __init__(self, max_failures: int | None = None) -> None:
        """Give up after `max_failures` failures in a row; None: never."""
        self._max_failures = max_failures
        self.num_failures = 0
        self._good_since_s: float | None = None

    def works(self, now_s: float) -> None:
        """Record that the source delivers."""
        if self._good_since_s is None:
            self._good_since_s = now_s
        elif now_s - self._good_since_s >= GOOD_S:
            self.num_failures = 0

    def delay_s(self) -> float | None:
        """Count a failure and return the delay before the next attempt, in seconds; None to give up."""
        self._good_since_s = None
        self.num_failures += 1
        if self._max_failures is not None and self.num_failures > self._max_failures:
            return None
        longest = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(self.num_failures - 1, 16))
        return random.uniform(0, longest)
