"""fer-deploy demo: with files from a server of this test, and without a network."""

import hashlib
import re
import shutil

import pytest
from click.testing import CliRunner
from integration.file_server import FileServer

from fer_deploy.cli import demo as module
from fer_deploy.cli import main
from fer_deploy.live.demo.files import PinnedFile


def run(*args):
    return CliRunner().invoke(main, ["demo", *map(str, args)])


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(module, "NUM_DRAWN", 45)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("FER_YUNET", raising=False)


def pinned(path, url, folder):
    content = path.read_bytes()
    return PinnedFile(path.name, url, len(content), hashlib.sha256(content).hexdigest(), folder / path.name)


def test_drawn_faces_are_a_self_test(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = run("--drawn", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "2 people seen"
    assert re.fullmatch(r"  person 1  0:01\.\d\d  neutral \d+ %.*", lines[1])
    assert re.fullmatch(r"  person 2  0:01\.\d\d  surprise \d+ %.*", lines[2])
    assert re.fullmatch(r"speed: [\d.]+ frames/s, 45 frames with \d+ faces in 0:\d\d\.\d\d", lines[3])
    assert lines[4:6] == [f"video: {tmp_path / 'demo/demo.mp4'}", f"results: {tmp_path / 'demo/demo.jsonl'}"]
    assert re.fullmatch(
        r"self-test: the model named 2 of 2 drawn expressions as drawn, in (29|30) of 30 faces "
        r"\(changing ones are not counted\)",
        lines[6],
    )
    assert "p50" not in result.output
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["demo.jsonl", "demo.mp4"]


def test_without_a_network_one_line_says_so(tmp_path, monkeypatch):
    gone = PinnedFile("YuNet", "http://127.0.0.1:9/yunet.onnx", 10, "0" * 64, tmp_path / "cache" / "yunet.onnx")
    monkeypatch.setattr(module, "demo_detector", lambda: gone)
    result = run("--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    told = [line for line in result.stderr.splitlines() if "YuNet" in line and "cannot" in line]
    assert told == ["drawn faces, because there is no clip with people: cannot fetch YuNet: Connection refused"]
    assert "self-test: " in result.stdout


def test_verbose_adds_the_stages(tmp_path):
    result = run("--drawn", "--verbose", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    assert all(word in result.stdout for word in ("latency by stage", "p50", "detect", "infer"))


@pytest.mark.shared
def test_the_clip_is_fetched_once_and_its_makers_are_named(tmp_path, shared_dir, monkeypatch):
    www, cache = tmp_path / "www", tmp_path / "cache"
    www.mkdir()
    names = ("clips/face-demographics-walking-and-pause.gif", "models/face_detection_yunet_2026may.onnx")
    for name in names:
        shutil.copy(shared_dir / name, www)
    clip, detector = www / names[0].partition("/")[2], www / names[1].partition("/")[2]
    with FileServer(www) as server:
        monkeypatch.setattr(module, "demo_clip", lambda: pinned(clip, server.url(clip.name), cache))
        monkeypatch.setattr(module, "demo_detector", lambda: pinned(detector, server.url(detector.name), cache))
        first = run("--out", tmp_path / "demo")
    second = run("--out", tmp_path / "demo")  # the server is gone
    for result in (first, second):
        assert result.exit_code == 0, result.output
        assert (
            "clip: face-demographics-walking-and-pause.gif from https://github.com/intel-iot-devkit/" in result.stderr
        )
        assert result.stdout.splitlines()[0] == "3 people seen"
        assert re.findall(r"^  person (\d)  0:03\.\d\d  neutral \d+ %", result.stdout, re.M) == ["1", "2", "3"]
    assert "CC BY 4.0" in (tmp_path / "demo/attribution.txt").read_text()
