"""Tests for found_videos: what is no file, what cannot be read, and lists as other programs write them."""

import os

import pytest

from fer_deploy.archive.planning.inputs import found_videos


def names(found):
    return {os.path.basename(one.address): one.reason for one in found}


def test_a_pipe_in_a_folder_is_named_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "video.mp4").write_bytes(b"a video")
    found = names(found_videos([str(tmp_path)]))
    assert found == {"pipe.mp4": "it is not a file; a pipe or a device is a source of fer-deploy live", "video.mp4": ""}


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "video.mp4").write_bytes(b"a video")
    scandir = os.scandir

    def denied(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert names(found_videos([str(tmp_path)])) == {
        "closed": "it cannot be read: Permission denied",
        "video.mp4": "",
    }


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_list_of_windows_and_names_with_separators_in_them(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b\u2028c.mp4"):
        (tmp_path / name).write_bytes(b"a video")
    (tmp_path / "list.txt").write_bytes(f"{start}a.mp4\r\n\r\nb\u2028c.mp4\r\n".encode())
    assert names(found_videos(["@list.txt"])) == {"a.mp4": "", "b\u2028c.mp4": ""}
