"""Ctrl-C, SIGTERM and SIGHUP end the program cleanly, at every moment: the documented code, everything finalized."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from integration.live_fakes import num_video_frames
from integration.source_watching import wait_until

START_S = 60
LIVE = (sys.executable, "-m", "fer_deploy", "live", "--no-display")


def wait_for_lines(process: subprocess.Popen, path: Path, num: int) -> None:
    pause, deadline = threading.Event(), time.monotonic() + START_S
    while not path.exists() or path.read_text().count("\n") < num:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no frame came"
        pause.wait(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_finalizes(number, tmp_path):
    flags = ["--source", "synthetic", "--record", "a.mp4", "--jsonl", "a.jsonl", "--json"]
    process = subprocess.Popen([*LIVE, *flags], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_lines(process, tmp_path / "a.jsonl", 3)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert len(lines) >= 3
    assert num_video_frames(tmp_path / "a.mp4") == len(lines) == json.loads(stdout)["num_frames"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.mp4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("flags", [(), ("--keep-trying",)])
def test_signal_while_a_camera_does_not_answer(number, flags, tmp_path, tiny_onnx, mjpeg_camera):
    """SIGHUP before it ends nothing: with a config it asks for a reload."""
    mjpeg_camera.mode = "mute"
    settings = tmp_path / "live.yaml"
    settings.write_text("stream: {connect_s: 500.0}\n")  # only the signal can have ended it
    flags = ("--config", settings, "--source", mjpeg_camera.url(), "--engine", tiny_onnx, *flags)
    older = [tmp_path / name for name in ("a.jsonl", "a.csv", "a.frames.csv")]
    for path in older:
        path.write_text("old")
    process = subprocess.Popen(
        [*LIVE, *flags, "--jsonl", "a.jsonl", "--csv", "a.csv"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: mjpeg_camera.num_clients > 0 or process.poll() is not None)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=START_S)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    assert "Aborted" not in stderr
    assert "ended before the first frame" in stderr
    assert [path.read_text() for path in older] == ["old"] * 3
    assert not list(tmp_path.glob("*.part.*"))
