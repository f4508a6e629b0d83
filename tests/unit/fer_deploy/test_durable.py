import os
from pathlib import Path

import pytest

from fer_deploy import durable
from fer_deploy.analyze.whole_file import whole_file
from fer_deploy.durable import give_name, write_file
from fer_deploy.live.sinks.unfinished import take_name


@pytest.fixture
def steps(monkeypatch):
    """What reaches the disk, and what is named, in order."""
    told: list[str] = []
    fsync, replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        told.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).name}")
        fsync(handle)

    def name(draft: Path, path: Path) -> None:
        told.append(f"name {Path(path).name}")
        replace(draft, path)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", name)
    return told


def by_analyze(draft: Path, path: Path) -> None:
    with whole_file(path) as unfinished:
        draft.rename(unfinished)


@pytest.mark.parametrize("give", [give_name, take_name, by_analyze])
def test_what_is_in_a_file_is_on_the_disk_before_its_name(tmp_path, steps, give):
    (tmp_path / "draft").write_text("new")
    (tmp_path / "a").write_text("old")
    give(tmp_path / "draft", tmp_path / "a")
    assert [step.split()[0] for step in steps] == ["sync", "name", "sync"]
    assert steps[1:] == ["name a", f"sync {tmp_path.name}"]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "new")]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    def sync(path: Path) -> None:
        if path.is_dir():
            raise OSError(22, "Invalid argument")

    (tmp_path / "draft").write_text("new")
    monkeypatch.setattr(durable, "sync", sync)
    give_name(tmp_path / "draft", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new"


def test_write_file(tmp_path, steps):
    write_file(tmp_path / "a", b"new")
    assert len(steps) == 3
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"new")]


def test_a_failure_leaves_the_old_file_alone(tmp_path, monkeypatch):
    def fail(draft: Path, path: Path) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(durable, "give_name", fail)
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]
