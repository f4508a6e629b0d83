"""DetectionInterval: how often the detector runs, fixed by the user or chosen by the load of all sources."""

import threading
from collections.abc import Sequence
from typing import Literal

MOST_BETWEEN_S = 0.2
"""Approximate limit between two runs of the detector; after a longer time a face has moved too far to follow."""
MOST_FRAMES = 100
PAUSE_S = 2.0
"""A longer gap between frames is not used for the frame rate: the source was interrupted, or is very slow."""
TARGET_LOAD = 0.75
"""Share of the workers' time; the rest is for the system, the outputs and variation between frames."""
_FORGET = 0.05
"""Weight of a new measurement in the running means."""


class DetectionInterval:
    """Chooses k for one source: the detector searches every k-th frame. Created by `WorkerLoad.interval`.

    With "auto" it is the smallest k for which detection and classification of all arriving frames, from all live
    sources, take at most `TARGET_LOAD` of the workers; but at most about `MOST_BETWEEN_S` pass between two searches.
    A recording waits for the workers, so all its frames are searched.

    Callable from any thread.
    """

    def __init__(self, wanted: int | Literal["auto"], load: "WorkerLoad", *, is_live: bool) -> None:
        self._wanted, self._load, self._is_live = wanted, load, is_live
        self._detect_s = self._rest_s = 0.0
        self._between_s = self._between_seen_s = 0.0
        self._last_s: float | None = None
        self._has_paused = False

    @property
    def frames(self) -> int:
        """The current k, at least 1."""
        with self._load.lock:
            if self._wanted != "auto":
                return self._wanted
            return min(self._load.wanted_interval(), self.most_frames) if self._is_live else 1

    def set_wanted(self, wanted: int | Literal["auto"]) -> None:
        """Use another interval from the next frame on."""
        with self._load.lock:
            self._wanted = wanted

    def set_live(self, is_live: bool) -> None:
        """Set whether the source is live once this is known; call it before its first frame."""
        with self._load.lock:
            self._is_live = is_live

    def note_arrival(self, time_s: float, num_dropped: int) -> None:
        """Record when a frame arrived (`time.monotonic`, seconds) and how many were dropped since the previous one."""
        with self._load.lock:
            if self._last_s is not None and time_s > self._last_s:
                self._note_gap(time_s - self._last_s, num_dropped)
            self._last_s = time_s

    def _note_gap(self, gap_s: float, num_dropped: int) -> None:
        """Update the frame rate with a gap before an analyzed frame; a second pause in a row resets it."""
        arrival_s = gap_s / (1 + num_dropped)
        is_pause = arrival_s > PAUSE_S
        if not is_pause:
            self._between_s = _mean(self._between_s, arrival_s)
            self._between_seen_s = _mean(self._between_seen_s, min(gap_s, MOST_BETWEEN_S))
        elif self._has_paused:
            self._between_s = self._between_seen_s = 0.0
        self._has_paused = is_pause

    def note_work(self, *, detect_s: float | None, rest_s: float) -> None:
        """Record the seconds spent on a frame; `detect_s` is None if the detector did not run."""
        with self._load.lock:
            if detect_s is not None:
                self._detect_s = _mean(self._detect_s, detect_s)
            self._rest_s = _mean(self._rest_s, rest_s)

    @property
    def most_frames(self) -> int:
        """The largest k that the rate of analyzed frames allows; k does not count dropped frames."""
        return max(1, min(MOST_FRAMES, round(MOST_BETWEEN_S / self._between_seen_s))) if self._between_seen_s else 1

    def load(self, k: int) -> float:
        """Return how many workers this source keeps busy if the detector searches every k-th frame."""
        return (self._detect_s / min(k, self.most_frames) + self._rest_s) / self._between_s

    def last_arrival_s(self) -> float | None:
        """Return when the last frame arrived, or None if the source's load is unknown or does not count."""
        return self._last_s if self._wanted == "auto" and self._is_live and self._between_s else None


class WorkerLoad:
    """Load of all live sources of a run, which share its workers.

    Attributes:
        lock: protects the measurements of the intervals.
    """

    def __init__(self, num_workers: int) -> None:
        """Start without sources."""
        self.lock = threading.Lock()
        self._room = TARGET_LOAD * num_workers
        self._intervals: list[DetectionInterval] = []

    def interval(self, wanted: int | Literal["auto"], *, is_live: bool) -> DetectionInterval:
        """Create the interval of another source; `is_live` as far as it is known."""
        made = DetectionInterval(wanted, self, is_live=is_live)
        self._intervals.append(made)
        return made

    def wanted_interval(self) -> int:
        """Return the smallest k at which all sources together stay within the target; the caller holds the lock."""
        busy = self._busy()
        most = max((interval.most_frames for interval in busy), default=1)
        return next((k for k in range(1, most) if sum(one.load(k) for one in busy) <= self._room), most)

    def _busy(self) -> Sequence[DetectionInterval]:
        """Return the sources that deliver frames; one that is silent while others continue causes no load."""
        known = [(last_s, one) for one in self._intervals if (last_s := one.last_arrival_s()) is not None]
        now_s = max((last_s for last_s, _ in known), default=0.0)
        return [one for last_s, one in known if now_s - last_s <= PAUSE_S]


def _mean(mean: float, value: float) -> float:
    return value if mean == 0 else (1 - _FORGET) * mean + _FORGET * value
