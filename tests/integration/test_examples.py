"""The examples run as they stand, on a tiny made-up clip."""

import subprocess
import sys
from itertools import islice

import cv2
import pytest

from fer_deploy.live.sinks.video.encoder import VideoEncoder
from fer_deploy.live.sources.synthetic import FPS, HEIGHT, WIDTH, SyntheticSource


@pytest.fixture
def clip(tmp_path):
    """Half a second of the two drawn faces."""
    encoder = VideoEncoder(tmp_path / "two.mp4", size=(WIDTH, HEIGHT), fps=FPS, is_live=False)
    for frame in islice(SyntheticSource().frames(), 15):
        encoder.add(frame.frame_bgr, frame.time_s)
    encoder.close()
    return tmp_path / "two.mp4"


def react_to_faces(repo_dir, home, source):
    command = [sys.executable, str(repo_dir / "examples/react_to_faces.py"), str(source)]
    environment = {"PYTHONPATH": str(repo_dir), "XDG_CACHE_HOME": str(home), "HOME": str(home)}  # no YuNet: Haar
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_react_to_faces(repo_dir, clip, tmp_path):
    done = react_to_faces(repo_dir, tmp_path, clip)
    assert (done.returncode, done.stderr) == (0, "")
    first = [line for line in done.stdout.splitlines() if line.startswith("    0.00 s  person ")]
    assert len(first) == 2
    assert all(line.endswith("%)") for line in done.stdout.splitlines())


def test_react_to_faces_tells_what_is_wrong(repo_dir, tmp_path):
    done = react_to_faces(repo_dir, tmp_path, tmp_path / "absent.mp4")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: no source '{tmp_path}/absent.mp4': no such file or folder.")


def test_recognize_photo(repo_dir, tmp_path):
    picture = next(SyntheticSource().frames()).frame_bgr
    (tmp_path / "two.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    command = [sys.executable, str(repo_dir / "examples/recognize_photo.py"), str(tmp_path / "two.png")]
    environment = {"PYTHONPATH": str(repo_dir), "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{tmp_path}/two.png: ") and " at Box(x1=" in line for line in lines)
    done = subprocess.run([*command, "none.png"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: cannot read none.png: No such file or directory. Fix: check the path\n"
