import os
from pathlib import Path

import pytest

from fer_deploy.errors import ExportError
from fer_deploy.export.publish import drafted, drafts_in, rename_together, write_together


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
    with pytest.raises(ExportError, match=r"cannot write b into .*Nothing was changed\. Fix: move what has this name"):
        write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert contents(tmp_path) == {"a": b"old"}
    assert not any(tmp_path.glob(".fer-*"))


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


def make_folder(path: Path, content: bytes) -> Path:
    path.mkdir(parents=True)
    (path / "inner").write_bytes(content)
    return path


class TestFoldersBesideFiles:
    """What an export and its Triton repository need: two places, one moment."""

    @pytest.fixture
    def drafts(self, tmp_path):
        """A new folder and a new file for `models/m` and `out/f`."""
        with (
            drafted({tmp_path / "out" / "f": b"new"}) as files,
            drafts_in(tmp_path / "models", flag="--triton", names="m") as folder,
        ):
            yield files | {make_folder(folder / "m", b"new"): tmp_path / "models" / "m"}

    def test_both_appear(self, drafts, tmp_path):
        assert [path for path in contents(tmp_path) if not path.startswith(".")]  # the drafts
        rename_together(drafts)
        assert (tmp_path / "out" / "f").read_bytes() == (tmp_path / "models" / "m" / "inner").read_bytes() == b"new"

    def test_both_replace_older_ones(self, drafts, tmp_path):
        make_folder(tmp_path / "models" / "m", b"old")
        (tmp_path / "models" / "m" / "gone").touch()
        (tmp_path / "out" / "f").write_bytes(b"old")
        rename_together(drafts)
        assert [path.name for path in (tmp_path / "models" / "m").iterdir()] == ["inner"]
        assert (tmp_path / "out" / "f").read_bytes() == b"new"

    @pytest.mark.parametrize("is_old", [True, False])
    @pytest.mark.parametrize("guilty", ["f", "m"])
    def test_neither_where_one_fails(self, drafts, tmp_path, monkeypatch, is_old, guilty):
        finals = [tmp_path / "out" / "f", tmp_path / "models" / "m" / "inner"]
        if is_old:
            make_folder(tmp_path / "models" / "m", b"old")
            finals[0].write_bytes(b"old")
        replace = os.replace

        def fail(source, target):
            if Path(target).name == guilty and not str(source).endswith(".old"):
                raise OSError(5, "Input/output error")
            replace(source, target)

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(
            ExportError, match=f"cannot write {guilty} into .*: Input/output error. Nothing was changed"
        ):
            rename_together(drafts)
        assert [final.read_bytes() for final in finals if final.exists()] == ([b"old"] * 2 if is_old else [])
