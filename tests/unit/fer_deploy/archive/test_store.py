"""Tests for Store, found_videos and the kinds of dead letters."""

import errno
import os
import sys
import time
from types import SimpleNamespace

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.jobs.crew import WorkerDied
from fer_deploy.archive.dead_letters import kind_of
from fer_deploy.archive.estimate import Sample, estimate
from fer_deploy.archive.planning.inputs import found_videos
from fer_deploy.archive.scratch import ScratchFull, scratch_folder
from fer_deploy.archive.staging import ReadFailed, fetch_video
from fer_deploy.archive.store import Store
from fer_deploy.cli.archive.run import config_here
from fer_deploy.errors import ConfigError, EngineError, FerDeployError, MissingDependencyError, SinkError, StreamError
from fer_deploy.files import durable


@pytest.fixture(params=["folder", "file", "memory"])
def store(request, tmp_path):
    addresses = {
        "folder": str(tmp_path / "a:b out"),
        "file": f"file://{tmp_path}/out",
        "memory": f"memory://{tmp_path.name}",
    }
    return Store(addresses[request.param])


def test_files_by_name(store, tmp_path):
    assert store.list("segments") == {}
    assert store.read("segments/a/1.json") is None
    assert not store.exists("segments/a/1.json")
    assert not store.fetch("segments/a/1.json", tmp_path / "fetched")
    store.remove("segments/a/1.json")
    store.write("segments/a/1.json", b"first")
    store.write("segments/a/1.json", b"second")
    local = tmp_path / "local"
    local.write_bytes(b"third")
    store.send(local, "segments/b/2.json")
    found = store.list("segments")
    assert {name: entry.size for name, entry in found.items()} == {"segments/a/1.json": 6, "segments/b/2.json": 5}
    assert all(abs(entry.written_s - time.time()) < 100 for entry in found.values())
    assert store.read("segments/a/1.json") == b"second"
    assert store.fetch("segments/b/2.json", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"third"
    with store.open("segments/b/2.json") as file:
        assert file.read(2) == b"th"
    store.remove("segments/a/1.json")
    assert list(store.list("segments")) == ["segments/b/2.json"]


def test_a_full_disk_leaves_no_unfinished_file(tmp_path, monkeypatch):
    store, local = Store(str(tmp_path / "out")), tmp_path / "local"
    local.write_bytes(b"content")

    def full(draft, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable, "give_name", full)
    for write in (lambda: store.write("a.json", b"content"), lambda: store.send(local, "a.json")):
        with pytest.raises(SinkError, match=r"No space left.*Fix: check space and rights"):
            write()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_scratch_is_told_as_such(tmp_path, monkeypatch):
    store = Store(f"memory://{tmp_path.name}")
    store.write("a.mp4", b"content")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MemoryFileSystem, "get_file", full)
    with pytest.raises(SinkError, match=r"cannot read a.mp4.*Fix: free some space, or another --scratch"):
        store.fetch("a.mp4", tmp_path / "a.mp4")
    with pytest.raises(ScratchFull, match=r"cannot copy memory://.*a.mp4 to .*Fix: free some space, or another --scr"):
        fetch_video(f"memory://{tmp_path.name}/a.mp4", tmp_path)


def test_a_file_that_is_not_complete_is_not_listed(tmp_path, monkeypatch):
    store = Store(str(tmp_path))

    def killed(draft, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(durable, "give_name", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write("segments/a/1.json", b"half")
    assert len(list(tmp_path.rglob("*.part"))) == 1
    assert store.list("segments") == {}


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "segments").write_bytes(b"a file")
    with pytest.raises(SinkError, match=r"cannot write segments/a\.json in .* What is complete there stays"):
        Store(str(tmp_path)).write("segments/a.json", b"")


def test_unknown_and_missing_protocols(monkeypatch):
    with pytest.raises(ConfigError, match="cannot open nothing://a"):
        Store("nothing://a")
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(MissingDependencyError, match=r"Fix: pip install 'fer-toolchain\[archive-s3\]'"):
        Store("s3://bucket/out")


@pytest.mark.parametrize(
    ("protocol", "packages"),
    [("gs", "gcsfs"), ("hf", "huggingface_hub"), ("sftp", "paramiko"), ("https", "requests aiohttp"), ("az", "adlfs")],
)
def test_the_package_of_a_protocol_is_named(protocol, packages, monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise ImportError(known_implementations[protocol]["err"])

    monkeypatch.setattr("fsspec.core.get_filesystem_class", missing)
    with pytest.raises(MissingDependencyError, match=rf"Fix: pip install {packages}$"):
        Store(f"{protocol}://bucket/out")


def test_inputs(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.mp4", "in/deep/b.MKV", "in/notes.txt", "odd name"):
        (tmp_path / name).write_bytes(b"12")
    listed = tmp_path / "list.txt"
    listed.write_text(f"{tmp_path}/in/a.mp4\n\n{tmp_path}/none.mp4\n")

    def names(*inputs):
        return [one.address.removeprefix(f"{tmp_path}/") for one in found_videos(inputs)]

    assert names(str(tmp_path / "in")) == ["in/a.mp4", "in/deep/b.MKV"]
    assert names(str(tmp_path / "in"), str(tmp_path / "in" / "a.mp4")) == ["in/a.mp4", "in/deep/b.MKV"]
    assert names(str(tmp_path / "in" / "*.txt")) == ["in/notes.txt"]
    assert names(str(tmp_path / "odd name")) == ["odd name"]
    assert names(f"file://{tmp_path}/in/*.mp4") == [f"file://{tmp_path}/in/a.mp4"]
    assert names(f"@{listed}") == ["in/a.mp4", "none.mp4"]
    assert [one.reason for one in found_videos([f"@{listed}"])] == ["", "it was not found"]
    listed.write_text("none.mp4\n")  # its address is the same when the file is there
    assert [one.address for one in found_videos([f"@{listed}"])] == [os.path.abspath("none.mp4")]
    with pytest.raises(ConfigError, match=r"cannot find .*none\.mp4"):
        found_videos([str(tmp_path / "none.mp4")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no video was found in .*empty"):
        found_videos([str(tmp_path / "empty")])


def test_folders_of_killed_processes_are_removed(tmp_path):
    with scratch_folder(tmp_path / "new") as mine:
        old = tmp_path / "new" / "fer-archive-killed"
        old.mkdir()
        (old / "lock").touch()
        foreign = tmp_path / "new" / "fer-archive-notes"
        foreign.mkdir()
        with scratch_folder(tmp_path / "new") as other:
            assert mine.exists()
            assert other.exists()
            assert not old.exists()
            assert foreign.exists()
    assert not mine.exists()
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="another --scratch"), scratch_folder(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (ReadFailed("a"), "read"),
        (StreamError("a"), "decode"),
        (SinkError("a"), "engine"),
        (EngineError("a"), "engine"),
        (WorkerDied("a", "killed by signal 9"), "memory"),
        (WorkerDied("a", "killed by signal 11"), "crash"),
        (FerDeployError("a worker process failed: MemoryError: "), "memory"),
    ],
)
def test_kinds(err, kind):
    assert kind_of(err) == kind


def test_an_estimate_of_equal_segments_is_certain():
    found = estimate([Sample(100, 3.6, 50)] * 4, 1_000_000)
    assert found.core_hours == pytest.approx(10)
    assert (found.core_hours_error, found.spread_ms) == pytest.approx((0, 0), abs=1e-9)
    assert found.num_bytes == pytest.approx(500_000)
    assert estimate([], 10) is None


def test_an_estimate_weighs_by_frames():
    found = estimate([Sample(300, 3.0, 1), Sample(100, 3.0, 1)], 3600)
    assert found.core_hours == pytest.approx(6 / 400)
    assert found.cpu_ms_per_frame == pytest.approx(15)
    assert found.core_hours_error > 0


def test_models_may_be_elsewhere_on_a_machine(tmp_path):
    class About:
        config = AnalyzeConfig.model_validate({"out": ".", "model": "fer2013", "detection": {"min_face": 30}})
        fingerprint = SimpleNamespace(detector="a digest")

    assert config_here(About, None, None).model == "fer2013"
    here = config_here(About, tmp_path / "model.onnx", tmp_path / "yunet.onnx")
    assert (here.engine, here.detection.detector_model) == (tmp_path / "model.onnx", tmp_path / "yunet.onnx")
    assert here.detection.min_face == 30
