"""Recordings that are killed, and disks that are full or refuse."""

import os
import signal
import subprocess
import sys
from collections import namedtuple

import av
import numpy as np
import pytest
from unit.fer_deploy.live.sinks.recorded_videos import frames_of, picture_of

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks import VideoSink
from fer_deploy.live.sinks.video import sink as video

MIB = 2**20
Disk = namedtuple("Disk", "total used free")


_ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from fer_deploy.live.sinks import VideoSink
from fer_deploy.vision.types import Frame, FrameResult

sink = VideoSink(Path(sys.argv[1]), 10.0)
index = 0
while True:
    picture = np.full((48, 64, 3), index % 200, dtype=np.uint8)
    sink.write(FrameResult(Frame(picture, index, index / 10, 0), ()), picture)
    index += 1
    if index == 300:
        print("300", flush=True)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_killed_recording_plays(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == b"300\n"
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name == f"a.{process.pid}.part{suffix}"
    frames = frames_of(left)
    assert len(frames) >= 280, "at most the last two seconds are lost"
    levels = [int(frame[24, 32, 0]) for frame in frames[:190]]
    assert max(abs(level - index) for index, level in enumerate(levels)) < 6


def test_old_file_stands_until_the_new_one_is_whole(tmp_path, make_result):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    sink = VideoSink(path, 10.0)
    sink.write(make_result(), picture_of(64, 48))
    assert path.read_bytes() == b"old"
    sink.close()
    assert len(frames_of(path)) == 1


def test_incomplete_video_does_not_take_the_name(tmp_path, make_result, monkeypatch):
    path = tmp_path / "a.avi"
    path.write_bytes(b"old")
    sink = VideoSink(path, 10.0)
    for _ in range(3):
        sink.write(make_result(), picture_of(64, 48))
    monkeypatch.setattr(video, "num_frames_in", lambda path: 2)
    with pytest.raises(SinkError, match=r"a\.\d+\.part\.avi is incomplete: 2 of 3 frames can be read"):
        sink.close()
    assert path.read_bytes() == b"old"


def test_pictures_too_small_for_a_codec_keep_the_old_file(tmp_path, make_result):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    sink = VideoSink(path, 10.0)
    with pytest.raises(SinkError, match=r"cannot record .*a\.mp4: frames of 1x1\. Fix: a source of at least 2x2"):
        sink.write(make_result(), picture_of(1, 1))
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"old"


def test_disk_that_fills_up_ends_the_recording_and_keeps_it(tmp_path, make_result, monkeypatch):
    sink = VideoSink(tmp_path / "a.mp4", 10.0)
    for _ in range(3):
        sink.write(make_result(), picture_of(64, 48))
    monkeypatch.setattr(video.shutil, "disk_usage", lambda path: Disk(100 * MIB, 95 * MIB, 5 * MIB))
    with pytest.raises(SinkError, match=r"disk full: 5 MiB left for .*a\.mp4, which has the frames up to here"):
        sink.write(make_result(), picture_of(64, 48))
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"], "without room for a copy"
    assert len(frames_of(tmp_path / "a.mp4")) == 3
    assert b"moof" in (tmp_path / "a.mp4").read_bytes(), "as it was written"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_recording_that_breaks_off_does_not_replace_an_older_one(tmp_path, make_result, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    sink = VideoSink(path, 10.0)
    for index in range(3):
        sink.write(make_result(index), picture_of(64, 48))
    monkeypatch.setattr(video.shutil, "disk_usage", lambda path: Disk(100 * MIB, 95 * MIB, 5 * MIB))
    with pytest.raises(SinkError, match=r"left for .*a\.\d+\.part\.\w+, which has the frames up to here"):
        sink.write(make_result(), picture_of(64, 48))
    with pytest.raises(
        SinkError, match=r"is unchanged; .*\.part\.\w+ has the frames up to the failure. Fix: see what failed"
    ):
        sink.close()
    (part,) = tmp_path.glob("a.*.part.*")
    assert len(frames_of(part)) == 3
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_disk_that_refuses_a_write(tmp_path, make_result, suffix):
    """/dev/full behind the name takes the place of a disk that fills up between the check and the write."""
    sink = VideoSink(tmp_path / f"a{suffix}", 10.0)
    (part,) = tmp_path.iterdir()
    part.unlink()
    part.symlink_to("/dev/full")
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    with pytest.raises(SinkError, match=r"cannot record to .*: .*No space left.*Fix: .*, or another --record"):
        _ = [sink.write(make_result(index), noise) for index in range(50)]
    with pytest.raises(SinkError, match=r"cannot finish .*Fix: free some disk space and run again"):
        sink.close()
    assert not (tmp_path / f"a{suffix}").exists()


_LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from fer_deploy.errors import SinkError
from fer_deploy.live.sinks import VideoSink
from fer_deploy.vision.types import Frame, FrameResult

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
sink = VideoSink(Path(sys.argv[1]), 10.0)
noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
try:
    for index in range(200):
        sink.write(FrameResult(Frame(noise, index, index / 10, 0), ()), noise)
except SinkError as err:
    print(err)
try:
    sink.close()
except SinkError as err:
    print(err)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_write_that_fails_in_mid_file_leaves_what_was_recorded(tmp_path, suffix):
    """A limit on the size of files takes the place of a quota."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / f"a{suffix}")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    at_write, at_close = done.stdout.splitlines()
    assert at_write.startswith("cannot record to ")
    assert at_close.startswith("cannot finish ") or "is incomplete: " in at_close
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(f".part{suffix}")
    assert len(frames_of(left)) >= 2


def test_copy_that_fails_leaves_what_was_recorded(tmp_path, make_result, monkeypatch):
    def fail(written, path):
        path.write_bytes(b"half")
        raise av.error.OSError(28, "No space left on device")

    monkeypatch.setattr(video, "move_index_to_front", fail)
    sink = VideoSink(tmp_path / "a.mp4", 10.0)
    for _ in range(3):
        sink.write(make_result(), picture_of(64, 48))
    with pytest.raises(SinkError, match=r"cannot finish .*a\.mp4: .*No space left.* plays as far as it goes"):
        sink.close()
    (left,) = tmp_path.iterdir()
    assert len(frames_of(left)) == 3
