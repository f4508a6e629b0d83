"""Ctrl-C and SIGTERM end the program cleanly: exit code 0, everything finalized."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from integration.live_fakes import num_video_frames

START_S = 60


def wait_for_lines(process: subprocess.Popen, path: Path, num: int) -> None:
    pause, deadline = threading.Event(), time.monotonic() + START_S
    while not path.exists() or path.read_text().count("\n") < num:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no frame came"
        pause.wait(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_finalizes(number, tmp_path):
    command = [sys.executable, "-c", "from fer_deploy.cli import main; main()", "live", "--source", "synthetic"]
    outputs = ["--no-display", "--record", "a.mp4", "--jsonl", "a.jsonl", "--json"]
    process = subprocess.Popen(
        command + outputs, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
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
