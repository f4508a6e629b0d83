"""LiveStats: throughput, drops and latency percentiles of a run; any thread can take a snapshot at any time."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.sources.base import Source, SourceHealth
from fer_deploy.vision.tracking.presence import Presence
from fer_deploy.vision.types import FrameResult

WINDOW = 20_000
"""Number of latest frames in the percentiles; memory stays constant over days."""
RECENT_S = 5.0
"""Window of a snapshot's current frame rate."""
LATENCIES_S = 1.0
"""Maximum age of a snapshot's percentiles; computing them over a full window takes milliseconds of a core."""
TOTAL = "total"
"""Row for the time of a frame from capture to the end of the analysis, before any sink."""


@dataclass(frozen=True)
class Latency:
    """Percentiles of one stage in milliseconds; `busy` is the stage's total time divided by the run's time."""

    stage: str
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    busy: float


@dataclass(frozen=True)
class SourceSnapshot:
    """One source at one moment.

    Attributes:
        is_live: True also while this is unknown.
        num_dropped: frames dropped for newer ones, at any stage.
        health: counters and state of the source.
        may_end: its end is not a failure: it is a recording, at any speed of play.
    """

    name: str
    is_live: bool
    num_dropped: int
    health: SourceHealth
    may_end: bool = False

    @classmethod
    def of(cls, source: Source, num_dropped: int) -> "SourceSnapshot":
        """Return the snapshot of a source; `num_dropped` frames of it were dropped by the intake."""
        health = source.health
        return cls(source.name, source.is_live is not False, num_dropped + health.num_overtaken, health, source.may_end)


@dataclass(frozen=True)
class SinkSnapshot:
    """One output at one moment.

    Attributes:
        num_written: results that are in the output.
        num_dropped: results that are not.
        failure: text of the failure; empty while it works.
        files: empty until they are finished.
        num_lost: dropped results that the sink had accepted before losing them.
    """

    name: str
    num_written: int
    num_dropped: int
    failure: str
    files: tuple[str, ...] = ()
    num_lost: int = 0


@dataclass(frozen=True)
class LiveSnapshot:
    """The loop at one moment.

    Attributes:
        num_frames: analyzed so far, over all sources.
        num_faces: in these frames.
        seconds: from the first frame's capture to now, or to the last frame's end once the run is over.
        throughput_fps: frames per second over the last `RECENT_S` seconds.
        latencies: a row a stage, including `TOTAL`.
        detect_every: the detector searches every frame of this number.
        made_with: descriptions by name, such as "engine" and "detector".
    """

    num_frames: int
    num_faces: int
    seconds: float
    throughput_fps: float
    latencies: tuple[Latency, ...]
    sources: tuple[SourceSnapshot, ...]
    sinks: tuple[SinkSnapshot, ...]
    detect_every: int = 1
    made_with: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_dropped(self) -> int:
        """Frames dropped for newer ones, over all sources."""
        return sum(source.num_dropped for source in self.sources)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"num_dropped": self.num_dropped}


class _Window:
    """The last `WINDOW` values, in an array, which takes megabytes less than Python numbers."""

    def __init__(self) -> None:
        self._values = np.zeros(WINDOW, dtype=np.int64)
        self._num = 0

    def add(self, value: int) -> None:
        self._values[self._num % WINDOW] = value
        self._num += 1

    def values(self) -> NDArray[np.int64]:
        return self._values[: self._num].copy()


class LiveStats:
    """Collects durations; written by the loop's threads, read by any."""

    def __init__(self) -> None:
        self.num_frames = 0
        self.num_faces = 0
        self.presence = Presence()
        self._lock = threading.Lock()
        self._first_ns: int | None = None
        self._last_ns = 0
        self._recent_ns: deque[int] = deque()
        self._durations_ns: dict[str, _Window] = {}
        self._busy_ns: dict[str, int] = {}
        self._latencies: tuple[Latency, ...] = ()
        self._latencies_ns = 0

    def add(self, result: FrameResult) -> None:
        """Count one analyzed frame."""
        with self._lock:
            self._last_ns = time.monotonic_ns()
            if self._first_ns is None:
                self._first_ns = result.frame.captured_ns
            self.num_frames += 1
            self.num_faces += len(result.faces)
            self.presence.add(result)
            self._recent_ns.append(self._last_ns)
            while self._recent_ns[0] < self._last_ns - RECENT_S * 1e9:
                self._recent_ns.popleft()
            for stage, duration in result.stage_ns.items():
                self._add_duration(stage, duration)
            self._add_duration(TOTAL, self._last_ns - result.frame.captured_ns)

    def add_duration(self, stage: str, duration_ns: int) -> None:
        """Count a duration of a stage outside the analysis, such as decoding."""
        with self._lock:
            self._add_duration(stage, duration_ns)

    def _add_duration(self, stage: str, duration_ns: int) -> None:
        if stage not in self._durations_ns:
            self._durations_ns[stage] = _Window()
        self._durations_ns[stage].add(duration_ns)
        self._busy_ns[stage] = self._busy_ns.get(stage, 0) + duration_ns

    @property
    def seconds(self) -> float:
        """Time from the first frame's capture to the last frame's end."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / 1e9

    @property
    def throughput_fps(self) -> float:
        """Analyzed frames per second over the whole run."""
        return self.num_frames / self.seconds if self.seconds else 0.0

    def recent_fps(self) -> float:
        """Return analyzed frames per second over the last `RECENT_S` seconds."""
        with self._lock:
            now = time.monotonic_ns()
            since = max(now - int(RECENT_S * 1e9), self._first_ns or now)
            num = sum(ns >= since for ns in self._recent_ns)
        return num * 1e9 / (now - since) if now > since else 0.0

    def latencies(self) -> list[Latency]:
        """Return one row a stage, in the order of the stages."""
        with self._lock:
            durations = {stage: window.values() for stage, window in self._durations_ns.items()}
            busy = {stage: total / max(1e-9, self.seconds * 1e9) for stage, total in self._busy_ns.items()}
        rows = []
        for stage, values in durations.items():
            p50, p90, p95, p99 = (round(float(p) / 1e6, 3) for p in np.percentile(values, (50, 90, 95, 99)))
            rows.append(Latency(stage, p50, p90, p95, p99, round(busy[stage], 4)))
        return rows

    def snapshot(
        self,
        sources: Callable[[], tuple[SourceSnapshot, ...]],
        sinks: Callable[[], tuple[SinkSnapshot, ...]],
        *,
        made_with: Mapping[str, str],
        detect_every: int = 1,
        is_over: bool = False,
    ) -> LiveSnapshot:
        """Return the current state; until the run is over, latencies may be up to `LATENCIES_S` old."""
        if is_over or time.monotonic_ns() - self._latencies_ns > LATENCIES_S * 1e9:
            self._latencies, self._latencies_ns = tuple(self.latencies()), time.monotonic_ns()
        seconds = self.seconds if is_over or self._first_ns is None else (time.monotonic_ns() - self._first_ns) / 1e9
        return LiveSnapshot(
            self.num_frames,
            self.num_faces,
            round(seconds, 3),
            round(self.recent_fps(), 2),
            self._latencies,
            sources(),
            sinks(),
            detect_every,
            made_with,
        )
