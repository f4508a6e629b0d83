import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from integration.full_disk import file_size_limit

from fer_deploy.analyze.whole_file import whole_file
from fer_deploy.files import durable
from fer_deploy.files.durable import give_name, unfinished_path, write_file, write_whole
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


WAYS = [write_file, write_whole]


@pytest.mark.parametrize("write", WAYS)
def test_a_full_disk_leaves_the_old_file_alone(tmp_path, write):
    (tmp_path / "a.json").write_bytes(b"old")
    with file_size_limit(10_000), pytest.raises(OSError, match="File too large"):
        write(tmp_path / "a.json", bytes(100_000))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"old")]


@pytest.mark.parametrize(
    "raised", [UnicodeEncodeError("utf-8", "\udce9", 0, 1, ""), KeyboardInterrupt(), SystemExit(143)]
)
def test_whatever_is_raised_the_old_file_stays_and_no_draft_is_left(tmp_path, raised):
    (tmp_path / "a.json").write_bytes(b"old")

    def half() -> None:
        with durable.whole_file(tmp_path / "a.json") as draft:
            draft.write_bytes(b"half")
            raise raised

    with pytest.raises(type(raised)):
        half()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"old")]


def test_a_draft_is_found_beside_its_file(tmp_path):
    assert unfinished_path(tmp_path / "a.json") == tmp_path / f"a.{os.getpid()}.part.json"


_KILLED = """
import os, signal, sys
from pathlib import Path
from fer_deploy.files import durable

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(os, sys.argv[2], killed)
getattr(durable, sys.argv[1])(Path(sys.argv[3]), b"new" * 100_000)
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("way", [write.__name__ for write in WAYS])
def test_a_kill_in_the_middle_leaves_the_old_file_alone(tmp_path, way, step):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", _KILLED, way, step, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = (other for other in tmp_path.iterdir() if other != path)
    assert left.name.startswith("a.")
    assert left.name.endswith(".part.json")
