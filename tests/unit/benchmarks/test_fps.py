import json
import re
import threading

import click
import fps
import pytest
from fps import REFERENCE, summarize, variants
from harness import clips, measuring
from live import loops
from live.fps_report import WATCHED, as_markdown, write_chart

from fer_deploy.detectors.haar import HaarFinder
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError


def one_round(reference_fps: float, loop_fps: float, alone_fps: float) -> dict[str, dict]:
    base = {"frames": 100, "faces": 300, "cpu_ms_per_frame": 10.0}
    return {
        REFERENCE: base | {"fps": reference_fps, "p50_ms": 30.0, "p95_ms": 40.0, "p99_ms": 50.0},
        "live loop": base
        | {
            "fps": loop_fps,
            "p50_ms": 9.0,
            "p95_ms": 12.0,
            "p99_ms": 15.0,
            "dropped": 0,
            "k": 1,
            "k_max": 3,
            "stages": {
                "detect": {"p50_ms": 3.0, "p95_ms": 4.0, "busy": 0.5},
                "total": {"p50_ms": 9.0, "p95_ms": 12.0, "busy": 9.9},
            },
        },
        "analysis alone": base | {"fps": alone_fps},
    }


@pytest.fixture
def rows():
    return summarize([one_round(10, 60, 80), one_round(20, 100, 100), one_round(40, 280, 400)], cores=4)


def test_ratios_are_taken_within_a_round(rows):
    by_name = {row["variant"]: row for row in rows}
    assert by_name["live loop"]["speedup"] == 6  # 6, 5, 7
    assert by_name["live loop"]["fps"] == 100
    assert by_name["live loop"]["of_slowest_stage"] == 0.75  # 0.75, 1, 0.7
    assert by_name["live loop"]["of_cores"] == 0.25  # 10 ms of 4 cores, 60, 100 and 280 times a second
    assert by_name[REFERENCE]["speedup"] == 1
    assert by_name["live loop"]["faces"] == 3


def test_report_and_chart(rows, tmp_path):
    env = {"hardware": "a machine", "date": "today", "python": "3", "rounds": "3", "command": "python fps.py"}
    results = [{"clip": "a.gif", "rows": rows}]
    text = as_markdown(results, env)
    assert "| live loop | 6.00x | 100 | 10.0 | 3.00 | 9.0 | 12.0 | 15.0 | 0 | 1, at most 3 | 0.75 | 0.25 |" in text
    assert "| detect | 3.00 | 4.00 | 0.50 |" in text
    assert "| total | 9.00 | 12.00 |  |" in text
    write_chart(results, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_a_loop_that_fails_is_named():
    with pytest.raises(Exception, match=r"(?s)alone failed: .*KeyError: 'yunet'"):
        fps.measure({"kind": "alone"})


@pytest.mark.slow
def test_the_request_in_the_usage_line_is_one(shared_dir):
    request = json.loads(re.search(r"'(\{.*?\})'", loops.__doc__, re.DOTALL)[1])
    files = {"yunet": str(measuring.shared_yunet()), "clip": str(clips.clips_at_hand()[0])}
    assert request.keys() >= files.keys()
    assert loops.run({**request, **files})["frames"] == request["frames"]


@pytest.mark.slow
def test_the_camera_recorded_and_watched(shared_dir, tmp_path):
    request = variants(frames=20, tutorial_frames=1)[WATCHED]
    files = {"yunet": str(measuring.shared_yunet()), "engine": "", "clip": str(clips.clips_at_hand()[0])}
    measured = fps.measure({**request, **files})
    assert measured["frames"] + measured["dropped"] == 20
    assert measured["lines"] == measured["frames"]
    assert 1 <= measured["k"] <= measured["k_max"]


class TestWithoutOptions:
    @pytest.fixture(autouse=True)
    def nothing_at_hand(self, monkeypatch, tmp_path):
        monkeypatch.delenv("FER_YUNET", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        for module in (clips, measuring):
            monkeypatch.setattr(module, "SHARED", tmp_path / "shared")
        monkeypatch.setattr(clips, "UNPUBLISHED", tmp_path / "artifacts")

    def test_what_lies_beside_the_checkout_is_taken(self, tmp_path):
        there, models = tmp_path / "shared/clips", tmp_path / "shared/models"
        there.mkdir(parents=True)
        models.mkdir()
        for path in (there / "b.gif", there / "a.gif", models / "face_detection_yunet_2026may.onnx"):
            path.touch()
        assert [path.name for path in clips.clips_at_hand()] == ["a.gif", "b.gif"]
        assert measuring.shared_yunet() == models / "face_detection_yunet_2026may.onnx"

    @pytest.mark.slow
    def test_without_a_clip_drawn_faces_are_measured_and_it_is_told_where_clips_are(self, tmp_path, capsys):
        (clip,) = clips.clips_at_hand()
        assert clip == tmp_path / "artifacts" / "synthetic.mp4"
        assert [frame.shape for frame in clips.read_clip(clip)] == [(360, 640, 3)] * 300
        assert len(HaarFinder().find(next(clips.read_clip(clip))).boxes_xyxy) == 2
        said = capsys.readouterr().err
        assert (
            f"no --clip, and none in {tmp_path / 'shared/clips'}: the drawn faces of the synthetic source are used"
            in said
        )
        assert "https://github.com/intel-iot-devkit/sample-videos (CC BY 4.0), then --clip FILE" in said

    def test_without_a_detector_there_is_a_way_out(self):
        with pytest.raises(click.UsageError, match=r"no YuNet at .*yunet_2026may.onnx. Fix: --yunet FILE, or curl"):
            measuring.shared_yunet()


class Found(Exception):
    """Raised in place of an engine."""


@pytest.mark.parametrize("kind", ["live", "stage", "alone", "engine"])
@pytest.mark.parametrize(("words", "device"), [({}, "cpu"), ({"device": "openvino"}, "openvino")])
def test_our_engine_runs_on_the_device_that_was_asked_for(kind, words, device, tmp_path, monkeypatch):
    def open_engine(path, *, device, threads=None):
        raise Found(device)

    (tmp_path / "yunet.onnx").touch()
    monkeypatch.setattr(loops, "open_engine", open_engine)
    monkeypatch.setattr(loops, "yunet_on_the_full_frame", lambda model: None)
    monkeypatch.setattr("fer_deploy.detectors.build_detectors", lambda config: None)
    clip = clips.draw_clip(tmp_path / "a.mp4", num_frames=3)
    request = {"kind": kind, "engine": "a.onnx", "detector": "yunet", "clip": str(clip), "frames": 2, "detect_every": 1}
    with pytest.raises(Found, match=device):
        loops.run(request | {"yunet": str(tmp_path / "yunet.onnx")} | words)


@pytest.mark.parametrize("fails", [True, False])
def test_a_thread_that_fails_gives_no_rate_and_a_clip_without_faces_does(fails, tmp_path, monkeypatch):
    class NoFaces:
        def detect(self, frame):
            if fails and threading.current_thread() is not threading.main_thread():
                raise EngineError("the detector failed")
            return []

    monkeypatch.setattr("fer_deploy.detectors.build_detectors", lambda config: NoFaces)
    monkeypatch.setattr(loops, "open_engine", lambda *_, **__: FakeEngine())
    clip = clips.draw_clip(tmp_path / "a.mp4", num_frames=3)
    (tmp_path / "yunet.onnx").touch()
    request = {"kind": "alone", "engine": "a.onnx", "clip": str(clip), "frames": 4, "detect_every": 1, "workers": 2}
    request |= {"yunet": str(tmp_path / "yunet.onnx")}
    if fails:
        with pytest.raises(EngineError, match="the detector failed"):
            loops.run(request)
    else:
        assert loops.run(request)["faces"] == 0
