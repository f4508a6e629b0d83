"""DetectionInterval: how often the detector looks, by hand or by the load of all sources together."""

import threading
from collections.abc import Sequence
from typing import Literal

MOST_BETWEEN_S = 0.2
"""Farther apart a face has moved too far to be followed blindly; about so long, since looks fall on frames."""
MOST_FRAMES = 100
PAUSE_S = 2.0
"""Frames farther apart are no rate: the source was away, or is too slow to weigh."""
TARGET_LOAD = 0.75
"""Of the workers' time; the rest is for the system, the outputs and what varies from frame to frame."""
_FORGET = 0.05
"""Share of a new measurement in the running means."""


class DetectionInterval:
    """Chooses k for one source: the detector looks at every k-th of its frames; `WorkerLoad.interval` makes these.

    With "auto" it is the smallest k for which detection and classification of all frames that arrive, from all live
    sources, take no more than `TARGET_LOAD` of the workers; but no more than about `MOST_BETWEEN_S` pass between two
    looks. A recording waits for the workers, so that all its frames are looked at.

    Callable from any thread: workers ask for `frames` whenever they like, and report where frames pass one by one.
    """

    def __init__(self, wanted: int | Literal["auto"], load: "WorkerLoad", *, is_live: bool) -> None:
        self._wanted, self._load, self._is_live = wanted, load, is_live
        self._detect_s = self._rest_s = 0.0
        self._between_s = self._between_seen_s = 0.0
        self._last_s: float | None = None
        self._has_paused = False

    @property
    def frames(self) -> int:
        """The k of now, at least 1."""
        if self._wanted != "auto":
            return self._wanted
        with self._load.lock:
            return min(self._load.wanted_interval(), self.most_frames) if self._is_live else 1

    def set_live(self, is_live: bool) -> None:
        """Say what the source proved to be that could not be asked before; called ahead of its first frame."""
        with self._load.lock:
            self._is_live = is_live

    def note_arrival(self, time_s: float, num_dropped: int) -> None:
        """Tell when a frame arrived (`time.monotonic`, seconds) and how many were dropped since the one before."""
        with self._load.lock:
            if self._last_s is not None and time_s > self._last_s:
                self._note_gap(time_s - self._last_s, num_dropped)
            self._last_s = time_s

    def _note_gap(self, gap_s: float, num_dropped: int) -> None:
        """Take in a gap before an analyzed frame. One pause says nothing of the rate behind it, a second one does."""
        arrival_s = gap_s / (1 + num_dropped)
        is_pause = arrival_s > PAUSE_S
        if not is_pause:
            self._between_s = _mean(self._between_s, arrival_s)
            self._between_seen_s = _mean(self._between_seen_s, min(gap_s, MOST_BETWEEN_S))
        elif self._has_paused:
            self._between_s = self._between_seen_s = 0.0
        self._has_paused = is_pause

    def note_work(self, *, detect_s: float | None, rest_s: float) -> None:
        """Tell what a frame cost; `detect_s` is None where the detector did not look."""
        with self._load.lock:
            if detect_s is not None:
                self._detect_s = _mean(self._detect_s, detect_s)
            self._rest_s = _mean(self._rest_s, rest_s)

    @property
    def most_frames(self) -> int:
        """The largest k that the rate of analyzed frames allows: k counts these, not what was dropped."""
        return max(1, min(MOST_FRAMES, round(MOST_BETWEEN_S / self._between_seen_s))) if self._between_seen_s else 1

    def load(self, k: int) -> float:
        """Return how many workers this source keeps busy where the detector looks at every k-th frame."""
        return (self._detect_s / min(k, self.most_frames) + self._rest_s) / self._between_s

    def last_arrival_s(self) -> float | None:
        """Return when the last frame came of a source whose load is known and counts, else None."""
        return self._last_s if self._wanted == "auto" and self._is_live and self._between_s else None


class WorkerLoad:
    """What all live sources of a run ask of its workers: each sees the others' load, for they share the workers.

    Attributes:
        lock: held by whoever reads or writes what the intervals have measured.
    """

    def __init__(self, num_workers: int) -> None:
        """Start without sources."""
        self.lock = threading.Lock()
        self._room = TARGET_LOAD * num_workers
        self._intervals: list[DetectionInterval] = []

    def interval(self, wanted: int | Literal["auto"], *, is_live: bool) -> DetectionInterval:
        """Return the interval of a further source; `is_live` as far as it is known by now."""
        made = DetectionInterval(wanted, self, is_live=is_live)
        self._intervals.append(made)
        return made

    def wanted_interval(self) -> int:
        """Return the smallest k at which all sources together leave room; the caller holds the lock."""
        busy = self._busy()
        most = max((interval.most_frames for interval in busy), default=1)
        return next((k for k in range(1, most) if sum(one.load(k) for one in busy) <= self._room), most)

    def _busy(self) -> Sequence[DetectionInterval]:
        """Sources that deliver; one that is silent while others go on asks nothing of the workers."""
        known = [(last_s, one) for one in self._intervals if (last_s := one.last_arrival_s()) is not None]
        now_s = max((last_s for last_s, _ in known), default=0.0)
        return [one for last_s, one in known if now_s - last_s <= PAUSE_S]


def _mean(mean: float, value: float) -> float:
    return value if mean == 0 else (1 - _FORGET) * mean + _FORGET * value
