"""`fer-deploy live` from flags to files, with a real engine and a real detector."""

import json
import threading
from pathlib import Path
from unittest.mock import Mock

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from integration.live_fakes import live_threads, num_video_frames

from fer_deploy.cli import live as live_module
from fer_deploy.cli import main
from fer_deploy.errors import ConfigError
from fer_deploy.live.sources.synthetic import HEIGHT, WIDTH

NUM = 12


def live(*args: object) -> Result:
    result = CliRunner().invoke(main, ["live", *map(str, args)])
    assert live_threads() == []
    return result


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, tiny_onnx) -> tuple[Path, dict]:
    """Folder and --json object of one run."""
    folder = tmp_path_factory.mktemp("live")
    result = live(
        "--source",
        "synthetic",
        "--engine",
        tiny_onnx,
        "--no-display",
        "--max-frames",
        NUM,
        "--json",
        "--detector",
        "haar",
        "--record",
        folder / "a.mp4",
        "--jsonl",
        folder / "deep" / "a.jsonl",
    )
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


@pytest.fixture(scope="module")
def lines(outputs) -> list[dict]:
    return [json.loads(line) for line in (outputs[0] / "deep" / "a.jsonl").read_text().splitlines()]


class TestOutputs:
    def test_jsonl_and_video_agree(self, outputs, lines):
        assert [line["frame"] for line in lines] == list(range(NUM))
        assert num_video_frames(outputs[0] / "a.mp4") == NUM
        assert not list(outputs[0].glob("*.part*"))

    def test_video_has_the_sources_size_and_speed(self, outputs):
        capture = cv2.VideoCapture(str(outputs[0] / "a.mp4"))
        assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == WIDTH
        assert capture.get(cv2.CAP_PROP_FRAME_HEIGHT) == HEIGHT
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(30, abs=0.1)
        capture.release()

    @pytest.mark.parametrize(("flags", "name"), [((), "vp9"), (("--video-codec", "x264"), "h264")])
    def test_x264_is_a_choice_of_the_users(self, tmp_path, tiny_onnx, flags, name):
        path = tmp_path / "a.mp4"
        fixed = (
            "--source",
            "synthetic",
            "--engine",
            tiny_onnx,
            "--no-display",
            "--max-frames",
            3,
            "--detector",
            "haar",
        )
        assert live(*fixed, "--record", path, *flags).exit_code == 0
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == name

    def test_schema(self, lines, tiny_spec):
        for line in lines:
            assert list(line) == ["frame", "time_s", "faces"]
            assert isinstance(line["frame"], int)
            assert line["time_s"] == pytest.approx(line["frame"] / 30, abs=1e-3)
        faces = [face for line in lines for face in line["faces"]]
        assert len(faces) >= 2 * NUM - 2
        for face in faces:
            assert list(face)[:5] == ["track", "person", "box_xyxy", "score", "detected"]
            assert list(face)[5:8] == ["emotion", "confidence", "probs"]
            assert list(face["smoothed"]) == ["emotion", "confidence", "probs", "sure"]
            x1, y1, x2, y2 = face["box_xyxy"]
            assert all(isinstance(value, int) for value in face["box_xyxy"])
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT
            assert list(face["probs"]) == tiny_spec["labels"]
            assert sum(face["probs"].values()) == pytest.approx(1, abs=7 * 5e-5 + 1e-9)
            assert face["confidence"] == face["probs"][face["emotion"]] == max(face["probs"].values())

    def test_json_report(self, outputs, lines):
        folder, report = outputs
        assert [source["name"] for source in report["sources"]] == ["synthetic"]
        assert "CPUExecutionProvider, fp32" in report["engine"]
        assert report["detector"] == "Haar"
        assert (report["num_frames"], report["num_dropped"]) == (NUM, 0)
        assert report["num_faces"] == sum(len(line["faces"]) for line in lines)
        assert report["seconds"] > 0
        assert report["throughput_fps"] == pytest.approx(NUM / report["seconds"], rel=0.01)
        assert list(report["latency_ms"]) == [
            "decode",
            "queue",
            "detect",
            "wait",
            "track",
            "crop",
            "infer",
            "smooth",
            "total",
        ]
        assert all(row["p50"] <= row["p90"] <= row["p99"] for row in report["latency_ms"].values())
        assert report["record"] == str(folder / "a.mp4")
        assert report["jsonl"] == str(folder / "deep" / "a.jsonl")


def test_auto_that_finds_no_yunet_says_so(tmp_path, tiny_onnx, monkeypatch):
    monkeypatch.delenv("FER_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = live("--source", "synthetic", "--engine", tiny_onnx, "--no-display", "--max-frames", 2)
    assert "\ndetector: Haar, which misses turned and small faces (--detector yunet fetches a" in result.stderr


def test_default_engine_and_report(tmp_path):
    """Without --engine the bundled model runs; without --json words are printed and the files are named."""
    result = live("--source", "synthetic", "--no-display", "--max-frames", 2, "--jsonl", tmp_path / "a.jsonl")
    assert result.exit_code == 0, result.output
    assert "2 frames" in result.stdout
    assert "p50" not in result.stdout
    assert f"results: {tmp_path / 'a.jsonl'}" in result.stdout
    assert "ONNX Runtime" in result.stderr


@pytest.mark.parametrize(("display", "reason"), [(None, "DISPLAY is not set"), (":4711", "no X server answers")])
def test_no_screen_is_a_message(monkeypatch, tiny_onnx, display, reason):
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    result = live("--source", "synthetic", "--engine", tiny_onnx, "--max-frames", 2)
    assert result.exit_code == 0, result.output
    message = " ".join(result.stderr.split())
    assert "no window: " in message
    assert reason in message
    assert "--no-display silences this" in message


def test_pictures_are_named(tmp_path, tiny_onnx):
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.full((60, 80, 3), 90, dtype=np.uint8))
    out = tmp_path / "out.jsonl"
    assert live("--source", tmp_path, "--engine", tiny_onnx, "--no-display", "--jsonl", out).exit_code == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["frame"], line["name"], line["faces"]) for line in lines] == [(0, "a.png", []), (1, "b.png", [])]


@pytest.mark.shared
@pytest.mark.slow
def test_real_clip(tmp_path, shared_dir):
    clip = shared_dir / "clips" / "face-demographics-walking-and-pause.gif"
    record, jsonl = tmp_path / "a.mp4", tmp_path / "a.jsonl"
    result = live("--source", clip, "--no-display", "--record", record, "--jsonl", jsonl, "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert len(lines) == num_video_frames(record) == 41
    report = json.loads(result.stdout)
    assert report["num_dropped"] == 0
    assert report["num_faces"] == sum(len(line["faces"]) for line in lines) >= 80


def test_a_failure_behind_the_outputs_leaves_none_open(tiny_onnx, monkeypatch):
    """The page's server has a thread that no process outlives."""
    monkeypatch.setattr(live_module, "LivePipeline", Mock(side_effect=ConfigError("no such loop")))
    result = live("--source", "synthetic", "--engine", tiny_onnx, "--no-display", "--serve", "127.0.0.1:0")
    assert result.exit_code == 2, result.stderr
    assert "serve" not in {thread.name for thread in threading.enumerate()}


def test_brackets_of_names_are_shown_and_no_markup(tmp_path, tiny_onnx, monkeypatch):
    monkeypatch.setattr(live_module, "detector_line", lambda config: "detector: YuNet (/a [final]/y[/b].onnx)")
    result = live("--source", "synthetic", "--engine", tiny_onnx, "--no-display", "--max-frames", 1)
    assert result.exit_code == 0, result.stderr
    assert "detector: YuNet (/a [final]/y[/b].onnx)" in result.stderr


def test_a_file_that_took_nothing_is_not_named(tiny_onnx):
    flags = ("--engine", tiny_onnx, "--no-display", "--max-frames", 3, "--jsonl", "/dev/full")
    result = live("--source", "synthetic", *flags)
    assert result.exit_code == 8
    assert "results: /dev/full" not in result.stdout
    assert "jsonl: 0 written" in result.stdout
