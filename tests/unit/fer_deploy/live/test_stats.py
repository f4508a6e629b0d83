import json

import numpy as np
import pytest

from fer_deploy.live import stats as stats_module
from fer_deploy.live.stats import LiveStats
from fer_deploy.vision.types import Frame, FrameResult


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, in nanoseconds."""
    now = [0]
    monkeypatch.setattr(stats_module.time, "monotonic_ns", lambda: now[0])
    return now


def result_at(captured_ms: float, infer_ms: float, faces=()) -> FrameResult:
    frame = Frame(np.zeros((1, 1, 3), dtype=np.uint8), 0, 0.0, int(captured_ms * 1e6))
    return FrameResult(frame, faces, {"infer": int(infer_ms * 1e6)})


def test_empty_run():
    stats = LiveStats()
    assert stats.latencies() == []
    assert stats.to_dict() == {
        "num_frames": 0, "num_faces": 0, "num_dropped": 0, "seconds": 0.0, "throughput_fps": 0.0, "latency_ms": {},
    }  # fmt: skip


def test_known_percentiles(clock):
    stats = LiveStats()
    for ms in np.random.default_rng(0).permutation(101):  # 0 to 100: the percentile is the value
        clock[0] = int((1000 + ms) * 1e6)
        stats.add(result_at(1000, float(ms)), {"sinks": 7_000_000})
    rows = {row.stage: (row.p50_ms, row.p90_ms, row.p99_ms) for row in stats.latencies()}
    assert rows == {"infer": (50, 90, 99), "sinks": (7, 7, 7), "total": (50, 90, 99)}


def test_throughput_counts_from_first_capture_to_last_end(clock):
    stats = LiveStats()
    for index in range(10):
        clock[0] = int((1000 + 200 * (index + 1)) * 1e6)
        stats.add(result_at(1000 + 200 * index, 1, faces=(object(),) * 3), {})
    assert stats.seconds == pytest.approx(2.0)
    assert stats.throughput_fps == pytest.approx(5.0)
    assert (stats.num_frames, stats.num_faces) == (10, 30)
    assert stats.to_dict()["latency_ms"]["total"] == {"p50": 200.0, "p90": 200.0, "p99": 200.0}


def test_window_is_bounded_and_the_counts_are_not(clock, monkeypatch):
    monkeypatch.setattr(stats_module, "WINDOW", 50)
    stats = LiveStats()
    for index in range(200):
        stats.add(result_at(0, 1000 if index < 150 else 1), {})
    (infer, _) = stats.latencies()
    assert infer.p99_ms == 1
    assert stats.num_frames == 200


def test_to_dict_is_json(clock):
    stats = LiveStats()
    stats.add(result_at(0, 2), {})
    assert json.loads(json.dumps(stats.to_dict())) == stats.to_dict()
