import pytest

from fer_deploy.live.load import MOST_FRAMES_BETWEEN, DetectionInterval


def settled(*, fps: float, detect_s: float, rest_s: float, num_workers: int = 2, dropped: int = 0) -> int:
    interval = DetectionInterval("auto", num_workers)
    for i in range(300):
        interval.note_arrival(i * (1 + dropped) / fps, dropped)
        interval.note_work(detect_s=detect_s if i % 2 else None, rest_s=rest_s)
    return interval.frames


def test_by_hand():
    interval = DetectionInterval(4, 2)
    interval.note_arrival(0.0, 0)
    interval.note_work(detect_s=10.0, rest_s=10.0)
    assert interval.frames == 4


def test_auto_starts_with_every_frame():
    assert DetectionInterval("auto", 2).frames == 1


@pytest.mark.parametrize(("detect_s", "rest_s", "frames"), [
    (0.010, 0.005, 1),   # 15 of the 50 ms that two workers have for a frame at 30 frames/s and 75 % load
    (0.055, 0.020, 2),   # 20 + 55/2 = 48 ms
    (0.100, 0.020, 4),
    (0.050, 0.100, MOST_FRAMES_BETWEEN),  # classification alone is too much
])  # fmt: skip
def test_the_smallest_interval_that_keeps_up(detect_s, rest_s, frames):
    assert settled(fps=30, detect_s=detect_s, rest_s=rest_s) == frames


def test_dropped_frames_count_as_arrivals():
    assert settled(fps=30, detect_s=0.055, rest_s=0.020, dropped=2) == 2


def test_more_workers_look_more_often():
    assert settled(fps=30, detect_s=0.060, rest_s=0.020, num_workers=4) == 1
