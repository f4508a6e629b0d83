import json
import threading
from pathlib import Path

import cameras
import numpy as np
import pytest
from cameras import Search, holds, limit_of, measures_of, most_cameras
from click.testing import CliRunner
from harness.comparing import changes_in_words
from integration.analyze_videos import SquareDetector, picture, write_squares
from live import camera_load
from live.camera_load import ClipCamera, Meter, Start, judged, pictures_of, run_cameras

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.vision.types import FrameResult


def trial(number, *, p99=10.0, dropped=0, **busy):
    return {
        "cameras": number,
        "fps": 30.0,
        "due": 100,
        "dropped": dropped,
        "served": [5] * number,
        "fair_share": 0.5,
        "p50_ms": 5.0,
        "p90_ms": 6.0,
        "p99_ms": p99,
        "max_ms": p99,
        "faces_per_frame": 2.0,
        "of_cores": 0.9,
        "busy": busy or {"decode": 0.1, "detect": 0.7},
        "k_max": 3,
    }


class Machine:
    """Holds up to a number of cameras; notes every try. `wrong` are tries, by their order, that other work spoils."""

    def __init__(self, limit, *, wrong=()):
        self.limit, self.wrong, self.tried = limit, wrong, []

    def __call__(self, number):
        self.tried.append(number)
        is_held = number <= self.limit and len(self.tried) not in self.wrong
        return trial(number, dropped=0 if is_held else 1)


class TestSearch:
    @pytest.mark.parametrize("limit", range(14))
    def test_finds_every_limit(self, limit):
        found = most_cameras(Machine(limit), limit_ms=50, most=64, confirm=0)
        assert (found.cameras, found.is_bounded) == (limit, True)

    def test_doubles_then_halves(self):
        machine = Machine(6)
        most_cameras(machine, limit_ms=50, most=64, confirm=2)
        assert machine.tried == [1, 2, 4, 8, 6, 7, 6, 6]

    @pytest.mark.parametrize("most", [1, 5, 6, 8])
    def test_ends_at_the_most_and_says_that_no_limit_was_found(self, most):
        machine = Machine(100)
        found = most_cameras(machine, limit_ms=50, most=most, confirm=1)
        assert (found.cameras, found.is_bounded) == (most, False)
        assert max(machine.tried) == most

    def test_a_number_that_does_not_hold_again_is_lowered(self):
        machine = Machine(6, wrong={7})  # the first confirmation of 6
        assert most_cameras(machine, limit_ms=50, most=64, confirm=2).cameras == 5
        assert machine.tried[6:] == [6, 5, 5]

    @pytest.mark.parametrize(
        ("found", "is_held"),
        [
            (trial(1, p99=50.0), True),
            (trial(1, p99=50.1), False),
            (trial(1, p99=None), False),
            (trial(1, dropped=1), False),
        ],
    )
    def test_holds(self, found, is_held):
        assert holds(found, 50) == is_held

    def test_the_smallest_failure_tells_the_limit(self):
        tries = (trial(4), trial(8, dropped=9, infer=0.9), trial(5, p99=80.0, decode=0.2, detect=0.6, infer=0.5))
        assert limit_of(Search(4, tries, True), 50) == {
            "cameras": 5,
            "why": "p99 over 50 ms",
            "stage": "detect",
            "of_cores": 0.9,
        }
        assert limit_of(Search(4, tries[:1], False), 50) is None


class TestCompare:
    def test_from_what_held_every_time_to_what_held_once(self):
        tries = [trial(4), trial(8, dropped=9), trial(6), trial(7, p99=80.0), trial(6, dropped=1), trial(5)]
        row = {"clip": "a.mp4", "model": "a.onnx", "fps": 30.0, "cameras": 5, "is_bounded": True, "trials": tries}
        (found,) = measures_of([row], 50)
        assert found.name == "a.mp4, a.onnx at 30 frames/s: cameras"
        assert (found.value, found.low, found.high, found.better) == (5, 5, 6, "higher")

    def test_without_a_number_that_failed_there_are_no_bounds(self):
        row = {"clip": "a.mp4", "model": "a.onnx", "fps": 30.0, "cameras": 4, "is_bounded": False, "trials": [trial(4)]}
        (found,) = measures_of([row], 50)
        assert (found.value, found.low, found.high) == (4, None, None)

    def test_a_machine_that_holds_none_can_be_compared(self):
        row = {
            "clip": "a.mp4",
            "model": "a.onnx",
            "fps": 30.0,
            "cameras": 0,
            "is_bounded": True,
            "trials": [trial(1, dropped=1)],
        }
        measures = [one.to_dict() for one in measures_of([row], 50)]
        old, new = {"hardware": "A", "measures": measures}, {"hardware": "A", "measures": measures}
        assert "cameras: 0 [0, 0] before, 0 [0, 0] now\n" in changes_in_words(old, new)


class TestCamera:
    @pytest.fixture
    def now(self):
        return [7_000_000_000]

    def camera(self, now, *, num=6, fps=10.0, offset_s=0.0):
        def wait(stopped: threading.Event, seconds: float) -> None:
            now[0] += round(seconds * 1e9)

        pictures = [np.full((4, 4, 3), i, dtype=np.uint8) for i in range(4)]
        return ClipCamera(
            pictures,
            fps=fps,
            num_frames=num,
            start=Start(lambda: now[0]),
            offset_s=offset_s,
            now_ns=lambda: now[0],
            wait=wait,
        )

    def test_frames_arrive_by_the_clock(self, now):
        frames = list(self.camera(now, offset_s=0.05).frames())
        assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5]
        assert [frame.captured_ns - 7_000_000_000 for frame in frames] == [
            50_000_000 + i * 100_000_000 for i in range(6)
        ]
        assert [int(frame.frame_bgr[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 0, 1]

    def test_a_slow_reader_loses_frames_and_a_late_one_counts_from_its_arrival(self, now):
        camera, seen = self.camera(now), []
        for frame in camera.frames():
            seen.append((frame.index, (now[0] - frame.captured_ns) // 1_000_000))
            now[0] += 260_000_000 if frame.index == 1 else 20_000_000
        assert seen == [(0, 0), (1, 0), (3, 60), (4, 0), (5, 0)]  # frame 2 was replaced by frame 3
        assert camera.health.num_overtaken == 1

    def test_stop_ends_it_before_the_next_frame(self, now):
        camera = self.camera(now)
        frames = camera.frames()
        next(frames)
        camera.stop()
        assert list(frames) == []


def test_losses_and_latency_are_those_after_the_warm_up():
    of_cameras = [{0: 900.0, 2: 10.0, 3: 20.0, 4: 30.0}, {1: 900.0, 2: 40.0}]
    found = judged(of_cameras, first=2, num_frames=5)
    assert found == {
        "due": 6,
        "dropped": 2,
        "served": [3, 1],
        "fair_share": pytest.approx(1 / 3),
        "p50_ms": 20.0,
        "p90_ms": 40.0,
        "p99_ms": 40.0,
        "max_ms": 40.0,
    }
    nothing = judged([{0: 1.0}, {}], first=2, num_frames=5)
    assert (nothing["dropped"], nothing["fair_share"], nothing["p99_ms"]) == (6, 0.0, None)


def test_jpeg_files_are_decoded_when_they_are_read(tmp_path):
    clip = write_squares(tmp_path / "a.mp4", 3)
    encoded, decoded = (pictures_of(str(clip), jpeg=jpeg) for jpeg in (True, False))
    assert [one.ndim for one in encoded] == [1] * 200
    camera = ClipCamera(encoded, fps=1000.0, num_frames=1, start=Start())
    [frame] = camera.frames()
    assert frame.frame_bgr.shape == decoded[0].shape
    assert np.abs(frame.frame_bgr.astype(int) - decoded[0]).mean() < 3
    assert camera.decode_s > 0


def test_the_live_loop_serves_all_cameras_and_every_frame_is_accounted_for():
    pictures = [picture(i) for i in range(7)]
    request = {"cameras": 3, "fps": 20, "seconds": 0.5, "warm_up_s": 0.1, "detect_every": 1}
    found = run_cameras(request, pictures, SquareDetector, FakeEngine())
    assert found["due"] == 3 * 10
    assert sum(found["served"]) + found["dropped"] == found["due"]
    assert found["faces_per_frame"] == 2
    assert {"decode", "detect", "infer"} <= found["busy"].keys()


def test_meter_sorts_results_by_camera_and_frame(monkeypatch):
    monkeypatch.setattr(camera_load.time, "monotonic_ns", lambda: 5_000_000)
    meter = Meter(2)
    frame = camera_load.Frame(picture(0), 4, 0.1, 2_000_000, source=1)
    assert meter.write(FrameResult(frame, (), {}), None)
    assert meter.latencies_ms == [{}, {4: 3.0}]


def test_command_writes_a_row_for_each_rate(unpublished, tmp_path, monkeypatch):
    (tmp_path / "yunet.onnx").touch()
    (tmp_path / "own.onnx").touch()
    asked = []

    def run_apart(module, request):
        asked.append(
            (Path(request["engine"]).name, request["fps"], request["cameras"], request["detect_every"], request["jpeg"])
        )
        return trial(request["cameras"], dropped=0 if request["cameras"] * request["fps"] <= 70 else 30) | {
            "fps": request["fps"]
        }

    monkeypatch.setattr(cameras, "run_apart", run_apart)
    clip = write_squares(tmp_path / "a.mp4", 3)
    words = [
        "--clip",
        clip,
        "--model",
        tmp_path / "own.onnx",
        "--yunet",
        tmp_path / "yunet.onnx",
        "--confirm",
        0,
        "--detect-every",
        3,
        "--decoded",
    ]
    done = CliRunner().invoke(cameras.main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert asked[0] == ("own.onnx", 30.0, 1, 3, False)
    [path] = unpublished.glob("*/*/cameras.json")
    written = json.loads(path.read_text())
    assert [(row["fps"], row["cameras"]) for row in written["results"]] == [(30.0, 2), (15.0, 4)]
    assert written["environment"]["limit_ms"] == "50"
    text = path.with_suffix(".md").read_text()
    row = "| a.mp4 | own.onnx | 30 | 2 | 5.0 | 10.0 | 3 | 0.90 | 3: frames were dropped; busiest: detect; 0.90 of the "
    assert row in text
    assert "| 70% of 4 cameras | 0.50 |" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_report_where_one_camera_is_too_many_and_where_no_number_was():
    rows = [
        {"clip": "a", "model": "b", "fps": 30.0, **cameras.measure(Machine(0), limit_ms=50, most=8, confirm=1)},
        {"clip": "a", "model": "b", "fps": 15.0, **cameras.measure(Machine(99), limit_ms=50, most=8, confirm=1)},
    ]
    env = dict.fromkeys(("hardware", "cores", "date", "python", "yunet", "command", "limit_ms"), "")
    lines = cameras.as_markdown(rows, env).splitlines()
    assert any(line.startswith("| a | b | 30 | 0 |  |  |  |  | 1: frames were dropped;") for line in lines)
    assert any(line.startswith("| a | b | 15 | at least 8 |") and "| not reached |" in line for line in lines)
