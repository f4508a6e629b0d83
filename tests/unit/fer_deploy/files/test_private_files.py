import os
import socket

import pytest

from fer_deploy.files import private_files
from fer_deploy.files.private_files import read_private


@pytest.fixture
def path(tmp_path):
    tmp_path.chmod(0o700)
    path = tmp_path / "kernels.cache"
    path.write_bytes(b"kernels")
    path.chmod(0o644)
    return path


def test_a_file_of_our_own(path):
    assert read_private(path, max_bytes=7) == b"kernels"


def test_a_file_that_is_too_large(path):
    with pytest.raises(OSError, match=r"kernels\.cache is larger than 6 bytes$"):
        read_private(path, max_bytes=6)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write(path, mode):
    path.chmod(mode)
    with pytest.raises(PermissionError, match=rf"can be written by others \(mode {mode:o}\)\. Fix: chmod go-w /"):
        read_private(path, max_bytes=100)


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777])
def test_a_folder_that_others_can_write(path, mode):
    path.parent.chmod(mode)
    with pytest.raises(PermissionError, match=rf"can be written by others \(mode {mode:o}\)"):
        read_private(path, max_bytes=100)


def test_a_file_of_another_user(path, monkeypatch):
    found = os.stat(path)
    stranger = os.stat_result((*found[:4], 4711, *found[5:]))
    monkeypatch.setattr(private_files.os, "fstat", lambda descriptor: stranger)
    with pytest.raises(PermissionError, match=rf"belongs to user 4711, expected {os.geteuid()}"):
        read_private(path, max_bytes=100)


def test_a_link_a_pipe_a_folder_and_a_socket(path):
    link = path.with_name("link")
    link.symlink_to(path)
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        read_private(link, max_bytes=100)
    with pytest.raises(OSError, match="is not a regular file"):
        read_private(pipe, max_bytes=100)
    with pytest.raises(OSError, match=r"is not a regular file|Is a directory"):
        read_private(path.parent, max_bytes=100)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path.with_name("s")))
        with pytest.raises(OSError, match="No such device or address"):
            read_private(path.with_name("s"), max_bytes=100)
