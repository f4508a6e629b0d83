"""Ctrl-C in a terminal while worker processes analyze: finished segments are kept, nobody stays, the rest follows."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from click.testing import CliRunner
from integration.analyze_jobs import contents
from integration.analyze_videos import write_squares
from integration.source_watching import wait_until

from fer_deploy.analyze.checkpoint import Checkpoint
from fer_deploy.analyze.parts import PARTS, Parts
from fer_deploy.cli import main

NUM = 12 * 24


def kept(out) -> int:
    """Frames in finished segments."""
    checkpoint = Checkpoint.load(Parts(out / "squares" / PARTS).checkpoint)
    return 0 if checkpoint is None else checkpoint.accounting.num_analyzed


@pytest.mark.slow
def test_ctrl_c(tmp_path):
    video = write_squares(tmp_path / "squares.mp4", NUM)
    flags = ["--no-video", "--segment-frames", "24", "--detector", "haar"]
    command = ["analyze", str(video), "--out", str(tmp_path / "out"), "--jobs", "2", *flags]
    program = [sys.executable, "-m", "fer_deploy", *command]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_until(lambda: kept(tmp_path / "out") > 0 or process.poll() is not None)
        workers = psutil.Process(process.pid).children()
        os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to the whole group
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)
    num_kept = kept(tmp_path / "out")
    assert 0 < num_kept < NUM
    assert f"stopped: {num_kept} frames are kept. To go on: fer-deploy {' '.join(command)}" in stderr
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 0, again.output
    alone = CliRunner().invoke(main, ["analyze", str(video), "--out", str(tmp_path / "alone"), "--jobs", "1", *flags])
    assert alone.exit_code == 0, alone.output
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
