import json

import numpy as np
import pytest

from fer_deploy.live import stats as stats_module
from fer_deploy.live.sources.base import SourceHealth
from fer_deploy.live.stats import LiveStats, SinkSnapshot, SourceSnapshot
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

_EMOTION = Emotion("dark", 1.0, Probabilities.from_dict({"dark": 1.0}))
FACE = FaceResult(TrackedFace(1, Detection(Box(0, 0, 1, 1))), _EMOTION, _EMOTION)


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, in nanoseconds."""
    now = [0]
    monkeypatch.setattr(stats_module.time, "monotonic_ns", lambda: now[0])
    return now


def result_at(captured_ms: float, infer_ms: float, faces=()) -> FrameResult:
    frame = Frame(np.zeros((1, 1, 3), dtype=np.uint8), 0, 0.0, int(captured_ms * 1e6))
    return FrameResult(frame, faces, {"infer": int(infer_ms * 1e6)})


def snapshot_of(stats: LiveStats, *, num_dropped: int = 0, is_over: bool = False):
    source = SourceSnapshot("camera 0", True, num_dropped, SourceHealth())
    return stats.snapshot(lambda: (source,), lambda: (SinkSnapshot("jsonl", 3, 1, ""),), made_with={}, is_over=is_over)


def test_empty_run():
    stats = LiveStats()
    assert stats.latencies() == []
    snapshot = snapshot_of(stats)
    assert (snapshot.num_frames, snapshot.num_faces, snapshot.seconds, snapshot.throughput_fps) == (0, 0, 0.0, 0.0)


def test_known_percentiles(clock):
    stats = LiveStats()
    for ms in np.random.default_rng(0).permutation(101):  # 0 to 100: the percentile is the value
        clock[0] = int((1000 + ms) * 1e6)
        stats.add(result_at(1000, float(ms)))
        stats.add_duration("draw", 7_000_000)
    rows = {row.stage: (row.p50_ms, row.p90_ms, row.p95_ms, row.p99_ms) for row in stats.latencies()}
    assert rows == {"infer": (50, 90, 95, 99), "draw": (7, 7, 7, 7), "total": (50, 90, 95, 99)}


def test_throughput_counts_from_first_capture_to_last_end(clock):
    stats = LiveStats()
    for index in range(10):
        clock[0] = int((1000 + 200 * (index + 1)) * 1e6)
        stats.add(result_at(1000 + 200 * index, 100, faces=(FACE,) * 3))
    assert stats.seconds == pytest.approx(2.0)
    assert stats.throughput_fps == pytest.approx(5.0)
    assert (stats.num_frames, stats.num_faces) == (10, 30)
    rows = {row.stage: row for row in stats.latencies()}
    assert rows["total"].p50_ms == 200.0
    assert rows["infer"].busy == pytest.approx(0.5)


def test_the_rate_of_now_looks_back_a_few_seconds(clock):
    stats = LiveStats()
    for index in range(100):  # 10 frames a second, then 2
        clock[0] = int(1e9 + 1e8 * index)
        stats.add(result_at(clock[0] / 1e6, 1))
    for _ in range(10):
        clock[0] += int(0.5e9)
        stats.add(result_at(clock[0] / 1e6, 1))
    assert stats.recent_fps() == pytest.approx(2.2, abs=0.25)
    clock[0] += int(60e9)
    assert stats.recent_fps() == 0.0


def test_window_is_bounded_and_the_counts_are_not(clock, monkeypatch):
    monkeypatch.setattr(stats_module, "WINDOW", 50)
    stats = LiveStats()
    for index in range(200):
        stats.add(result_at(0, 1000 if index < 150 else 1))
    (infer, _) = stats.latencies()
    assert infer.p99_ms == 1
    assert stats.num_frames == 200


def test_a_snapshot_is_json(clock):
    stats = LiveStats()
    stats.add(result_at(0, 2))
    values = snapshot_of(stats, num_dropped=4).to_dict()
    assert json.loads(json.dumps(values))["sources"][0]["health"]["state"] == "running"
    assert values["num_dropped"] == 4
    assert values["sinks"][0]["num_written"] == 3


def test_the_seconds_of_a_run_go_on_while_no_frame_comes(clock):
    stats = LiveStats()
    clock[0] = int(2e9)
    stats.add(result_at(1000, 1))
    clock[0] = int(61e9)
    assert snapshot_of(stats).seconds == 60
    assert snapshot_of(stats, is_over=True).seconds == 1


def test_percentiles_may_be_a_second_old_until_the_run_is_over(clock):
    stats = LiveStats()
    clock[0] = int(10e9)
    stats.add(result_at(9999, 1))
    assert snapshot_of(stats).latencies[0].p50_ms == 1
    stats.add_duration("infer", 3_000_000)
    assert snapshot_of(stats).latencies[0].p50_ms == 1
    assert snapshot_of(stats, is_over=True).latencies[0].p50_ms == 2
    stats.add_duration("infer", 3_000_000)
    clock[0] += int(1.1e9)
    assert snapshot_of(stats).latencies[0].p50_ms == 3
