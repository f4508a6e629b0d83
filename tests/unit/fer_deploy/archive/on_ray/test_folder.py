"""The folder of a local cluster is removed, also after a start that failed, and that of a killed program later."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import pytest

from fer_deploy.archive.on_ray.cluster import connected
from fer_deploy.archive.on_ray.folder import cluster_folder
from fer_deploy.errors import EngineError

WRITER = """
import os, pathlib, sys, time
folder = pathlib.Path(os.environ["HOME"])
while True:
    (folder / "session" / "logs").mkdir(parents=True, exist_ok=True)
    (folder / "session" / "logs" / f"{time.monotonic_ns() % 99}.log").write_text("a line")
"""


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def writers():
    """Processes that write into their home folder for ever."""
    started = []

    def start(home) -> subprocess.Popen:
        one = subprocess.Popen([sys.executable, "-S", "-c", WRITER], env=os.environ | {"HOME": str(home)})
        started.append(one)
        while not (home / "session").exists():
            assert one.poll() is None
            time.sleep(0.01)
        return one

    yield start
    for one in started:
        one.kill()
        one.wait()


def test_after_a_start_that_failed_nothing_is_left(base, writers, monkeypatch):
    ray, started = pytest.importorskip("ray"), []

    def init(*, _temp_dir, **_):
        started.append(writers(base / os.path.basename(_temp_dir)))
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(EngineError, match="Ray does not start on this machine"), connected("local"):
        pass
    assert list(base.iterdir()) == []
    assert started[0].wait(10) == -9


def test_an_error_in_the_block_leaves_nothing(base):
    with suppress(KeyError), cluster_folder() as folder:
        (folder / "session").mkdir()
        (folder / "session_latest").symlink_to(folder / "session")
        raise KeyError
    assert list(base.iterdir()) == []


def test_the_folder_of_a_program_that_runs_stays(base):
    with cluster_folder() as one, cluster_folder() as other:
        assert sorted(base.iterdir()) == sorted((one, other))


def test_that_of_a_killed_program_is_removed_with_its_processes(base, writers):
    killed = base / "fer-ray-killed"
    killed.mkdir()
    (killed / "lock").touch()
    process = writers(killed)
    with cluster_folder() as folder:
        assert list(base.iterdir()) == [folder]
    assert process.wait(10) == -9


def test_a_process_is_found_by_what_it_writes_and_a_reader_is_spared(base):
    killed = base / "fer-ray-killed"
    killed.mkdir()
    (killed / "lock").touch()
    waiting = [sys.executable, "-S", "-c", "import sys, time; print(1, flush=True); time.sleep(600)"]
    with (killed / "log").open("w") as log, (killed / "log").open() as content:
        writer = subprocess.Popen(waiting, stdout=log, env={})
        reader = subprocess.Popen(waiting, stdin=content, stdout=subprocess.PIPE, env={})
    try:
        assert reader.stdout.readline() == b"1\n"
        while not (killed / "log").read_text():
            time.sleep(0.01)
        with cluster_folder() as folder:
            assert list(base.iterdir()) == [folder]
        assert writer.wait(10) == -9
        assert reader.poll() is None
    finally:
        for process in (writer, reader):
            process.kill()
            process.wait()
        reader.stdout.close()


def test_one_without_a_lock_is_removed_when_it_is_old_and_nothing_uses_it(base, writers):
    young, old, used = (base / f"fer-ray-{name}" for name in ("young", "old", "used"))
    for folder in (young, old, used):
        (folder / "session").mkdir(parents=True)
    writers(used)
    for folder in (old, used):
        os.utime(folder, (0, 0))
    with cluster_folder():
        assert not old.exists()
        assert young.exists()
        assert used.exists()


def test_what_cannot_be_removed_now_is_found_the_next_time(base, monkeypatch):
    with monkeypatch.context() as busy, cluster_folder() as first:
        (first / "session").mkdir()
        busy.setattr("shutil.rmtree", lambda *_, **__: None)
    assert [path.name for path in sorted(first.iterdir())] == ["lock", "session"]
    with cluster_folder():
        assert not first.exists()


def test_a_lock_of_a_running_program_keeps_its_folder(base):
    other = base / "fer-ray-other"
    other.mkdir()
    with (other / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with cluster_folder():
            assert other.exists()
    with cluster_folder():
        assert not other.exists()
