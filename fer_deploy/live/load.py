"""DetectionInterval: how often the detector looks, by hand or by load."""

import math
from typing import Literal

MOST_FRAMES_BETWEEN = 6
"""Farther apart than a fifth of a second at 30 frames/s a face has moved too far to be followed blindly."""
TARGET_LOAD = 0.75
"""Of the workers' time; the rest is for the system, the outputs and what varies from frame to frame."""
_FORGET = 0.05
"""Share of a new measurement in the running means."""


class DetectionInterval:
    """Chooses k: the detector looks at every k-th frame of a live source.

    With "auto" it is the smallest k for which detection and classification of all frames that arrive take no more than
    `TARGET_LOAD` of the workers. Not thread-safe: called where frames pass one by one.
    """

    def __init__(self, wanted: int | Literal["auto"], num_workers: int) -> None:
        self._wanted, self._num_workers = wanted, num_workers
        self._detect_s = self._rest_s = self._between_s = 0.0
        self._last_s: float | None = None

    @property
    def frames(self) -> int:
        """The k of now, at least 1."""
        if self._wanted != "auto":
            return self._wanted
        room_s = TARGET_LOAD * self._num_workers * self._between_s - self._rest_s
        if self._detect_s <= room_s or not self._between_s:
            return 1
        return MOST_FRAMES_BETWEEN if room_s <= 0 else min(MOST_FRAMES_BETWEEN, math.ceil(self._detect_s / room_s))

    def note_arrival(self, time_s: float, num_dropped: int) -> None:
        """Tell when a frame arrived (any clock, seconds) and how many were dropped since the one before."""
        if self._last_s is not None and time_s > self._last_s:
            self._between_s = _mean(self._between_s, (time_s - self._last_s) / (1 + num_dropped))
        self._last_s = time_s

    def note_work(self, *, detect_s: float | None, rest_s: float) -> None:
        """Tell what a frame cost; `detect_s` is None where the detector did not look."""
        if detect_s is not None:
            self._detect_s = _mean(self._detect_s, detect_s)
        self._rest_s = _mean(self._rest_s, rest_s)


def _mean(mean: float, value: float) -> float:
    return value if mean == 0 else (1 - _FORGET) * mean + _FORGET * value
