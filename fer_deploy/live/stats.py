"""LiveStats: throughput, drops and latency percentiles of a run of the loop."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_deploy.vision.types import FrameResult

WINDOW = 20_000
"""Frames that the percentiles look back on; keeps memory constant over days."""
TOTAL = "total"
"""The row that measures a frame from capture to the end of the last sink."""


@dataclass(frozen=True)
class Latency:
    """Percentiles of one stage in milliseconds."""

    stage: str
    p50_ms: float
    p90_ms: float
    p99_ms: float


class LiveStats:
    """Collects durations; written by the main thread, read when the loop has ended."""

    def __init__(self) -> None:
        self.num_frames = 0
        self.num_faces = 0
        self.num_dropped = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._durations_ns: dict[str, deque[int]] = {}

    def add(self, result: FrameResult, sink_ns: dict[str, int]) -> None:
        """Count one frame that has passed all sinks; `sink_ns` are the durations of the main thread's stages."""
        self._last_ns = time.monotonic_ns()
        if self._first_ns is None:
            self._first_ns = result.frame.captured_ns
        self.num_frames += 1
        self.num_faces += len(result.faces)
        total = {TOTAL: self._last_ns - result.frame.captured_ns}
        for stage, duration in (result.stage_ns | sink_ns | total).items():
            self._durations_ns.setdefault(stage, deque(maxlen=WINDOW)).append(duration)

    @property
    def seconds(self) -> float:
        """From the first frame's capture to the last one's end."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / 1e9

    @property
    def throughput_fps(self) -> float:
        """Frames per second that passed all sinks."""
        return self.num_frames / self.seconds if self.seconds else 0.0

    def latencies(self) -> list[Latency]:
        """Return one row a stage, in the order in which a frame passes them."""
        rows = []
        for stage, durations in self._durations_ns.items():
            p50, p90, p99 = np.percentile(np.fromiter(durations, dtype=np.int64), (50, 90, 99)) / 1e6
            rows.append(Latency(stage, round(float(p50), 3), round(float(p90), 3), round(float(p99), 3)))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "num_frames": self.num_frames,
            "num_faces": self.num_faces,
            "num_dropped": self.num_dropped,
            "seconds": round(self.seconds, 3),
            "throughput_fps": round(self.throughput_fps, 2),
            "latency_ms": {
                row.stage: {"p50": row.p50_ms, "p90": row.p90_ms, "p99": row.p99_ms} for row in self.latencies()
            },
        }
