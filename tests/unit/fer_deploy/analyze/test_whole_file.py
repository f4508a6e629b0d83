"""Whole or not at all."""

import errno
import os

import pytest

from fer_deploy.analyze.whole_file import whole_file, write_whole, writing
from fer_deploy.errors import SinkError


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_write_whole(tmp_path):
    write_whole(tmp_path / "a.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "the disk is full. Fix: free some space, or another --out"),
        (errno.EACCES, "Permission denied. Fix: check the folder's permissions, or another --out"),
    ],
)
def test_words(tmp_path, number, text):
    with pytest.raises(SinkError, match=f"cannot write .*a: {text}"), writing(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
