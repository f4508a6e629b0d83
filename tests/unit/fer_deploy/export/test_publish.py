import os
from pathlib import Path

import pytest

from fer_deploy.errors import ExportError
from fer_deploy.export.publish import write_together


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_both_appear(tmp_path):
    write_together({tmp_path / "new" / "a": b"1", tmp_path / "new" / "b": b"2"})
    assert contents(tmp_path) == {"a": b"1", "b": b"2"}


def test_both_are_replaced(tmp_path):
    for _ in range(2):
        write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert contents(tmp_path) == {"a": b"1", "b": b"2"}


def test_a_name_that_is_a_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(ExportError, match=r"cannot write a, b into .*Nothing was changed\. Fix: .*another --out"):
        write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert contents(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("old", [b"old", None])
def test_second_rename_fails(tmp_path, monkeypatch, old):
    if old is not None:
        (tmp_path / "a").write_bytes(old)
    replace, calls = os.replace, []

    def fail_once(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_once)
    with pytest.raises(ExportError, match="Input/output error"):
        write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert contents(tmp_path) == ({} if old is None else {"a": b"old"})
    assert not any(tmp_path.glob(".fer-*"))


def test_the_folder_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ExportError, match="Fix: free space, or another --timing-cache"):
        write_together({tmp_path / "file" / "a": b"1"}, flag="--timing-cache")
    assert contents(tmp_path) == {"file": b"x"}


def test_made_folders_go_when_nothing_could_be_written(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ExportError, match="No space left on device"):
        write_together({tmp_path / "new" / "deep" / "a": b"1"})
    assert list(tmp_path.iterdir()) == []
