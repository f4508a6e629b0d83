"""What a finished file may replace."""

import os
from pathlib import Path

import pytest

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks import CsvSink, VideoSink
from fer_deploy.live.sinks.unfinished import replaceable

LABELS = ("dark", "bright")


def test_nothing_and_a_file(tmp_path):
    assert replaceable(tmp_path / "a.csv", fix="another") == tmp_path / "a.csv"
    (tmp_path / "a.csv").write_text("old")
    assert replaceable(tmp_path / "a.csv", fix="another") == tmp_path / "a.csv"


@pytest.mark.parametrize("path", ["/dev/null", "pipe.csv", "link.csv", "frames"])
def test_a_device_or_a_pipe_is_not_replaced(path, tmp_path, monkeypatch):
    """As root, a run would have put a file in the place of the machine's /dev/null."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.csv")
    Path("link.csv").symlink_to("pipe.csv")
    os.mkfifo("frames.frames")
    with pytest.raises(SinkError, match=r"cannot write .*: it is a device or a pipe, .* Fix: another --csv"):
        CsvSink(Path(path), LABELS)
    assert Path("pipe.csv").is_fifo()
    assert not Path("/dev/null").is_file()


def test_a_pipe_is_no_video(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(SinkError, match=r"it is a device or a pipe, .* Fix: another --record"):
        VideoSink(tmp_path / "a.mp4", 10.0)
    assert (tmp_path / "a.mp4").is_fifo()


def test_a_symbolic_link_is_written_through(tmp_path, make_result):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/a.csv").write_text("old")
    (tmp_path / "b.csv").symlink_to("disk/a.csv")
    with CsvSink(tmp_path / "b.csv", LABELS) as sink:
        sink.write(make_result(0), None)
    assert (tmp_path / "b.csv").is_symlink()
    assert (tmp_path / "disk/a.csv").read_text().startswith("frame,")
