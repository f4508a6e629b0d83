"""A store whose file system raises exceptions that are no OSError, as botocore's: an error in one line."""

import errno
import io
import os
import re
from unittest.mock import Mock

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFileSystem
from integration.analyze_videos import write_squares
from integration.archive_videos import make_plan, make_run, recipe_of

from fer_deploy.analyze.segments import observations as segments
from fer_deploy.archive import store as archive_store
from fer_deploy.archive import work as archive_work
from fer_deploy.archive.manifest import Segment, VideoRow
from fer_deploy.archive.planning.inputs import found_videos
from fer_deploy.archive.run import ArchiveRun
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.staging import ReadFailed, fetch_video
from fer_deploy.archive.status import status
from fer_deploy.archive.store import PassingFault, Store
from fer_deploy.archive.work import Work, about_segment, all_work, finished, remove_damaged, without_finished
from fer_deploy.cli import main
from fer_deploy.errors import SinkError, StreamError

UNREACHABLE = r"Fix: check the address, the credentials and the network, then give the same command again$"


class EndpointDownError(Exception):
    """As botocore's: neither an OSError nor a ValueError."""


class _File(io.BytesIO):
    """A file whose endpoint goes away once it is open."""

    def read(self, *_):
        raise EndpointDownError("Could not connect\nto the endpoint")


class Down(MemoryFileSystem):
    protocol = ("down", "memory")
    works = 0
    """Calls that still succeed."""

    @classmethod
    def call(cls):
        if cls.works == 0:
            raise EndpointDownError("Could not connect\nto the endpoint")
        cls.works -= 1

    def open(self, path, *args, **settings):
        self.call()
        return _File(b"PAR1" * 100)

    def find(self, path, **settings):
        self.call()
        return super().find(path, **settings)

    def info(self, path, **settings):
        self.call()
        return super().info(path, **settings)

    def isfile(self, path):
        self.call()
        return super().isfile(path)

    def cat_file(self, path, **settings):
        self.call()
        return super().cat_file(path, **settings)

    def get_file(self, *args, **settings):
        self.call()
        super().get_file(*args, **settings)

    def pipe_file(self, *args, **settings):
        self.call()
        super().pipe_file(*args, **settings)

    def put_file(self, *args, **settings):
        self.call()
        super().put_file(*args, **settings)

    def rm_file(self, path):
        self.call()
        super().rm_file(path)

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.replace("down://", "memory://"))


@pytest.fixture(autouse=True)
def down(monkeypatch):
    fsspec.register_implementation("down", Down, clobber=True)
    monkeypatch.setattr(Down, "works", 0)
    monkeypatch.setattr(archive_store, "_WAITS_S", (0.0, 0.0))


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("read", lambda store, path: store.list("segments")),
        ("read", lambda store, path: store.read("a")),
        ("read", lambda store, path: store.exists("a")),
        ("read", lambda store, path: store.open("a")),
        ("read", lambda store, path: store.fetch("a", path)),
        ("write", lambda store, path: store.write("a", b"")),
        ("write", lambda store, path: store.send(path, "a")),
        ("write", lambda store, path: store.remove("a")),
    ],
)
def test_every_call_says_what_to_check(verb, call, tmp_path):
    with pytest.raises(SinkError, match=rf"^cannot {verb} \w+ in down://out: Could not connect to the .*{UNREACHABLE}"):
        call(Store("down://out"), tmp_path / "file")


def test_a_file_system_that_wants_credentials_at_once(monkeypatch):
    def none(self, *args, **settings):
        raise EndpointDownError("no credentials")

    Down.clear_instance_cache()
    monkeypatch.setattr(Down, "__init__", none)
    with pytest.raises(SinkError, match=rf"^cannot open down://out/x: no credentials\. {UNREACHABLE}"):
        Store("down://out/x")


def test_a_segment_that_cannot_be_read_is_not_a_damaged_one(monkeypatch):
    monkeypatch.setattr(Down, "works", 1)
    with pytest.raises(SinkError, match=UNREACHABLE):
        about_segment(Store("down://out"), "segments/a/000000.parquet", all_bytes=False)


def test_a_file_of_another_machine_is_read_as_it_is(tmp_path):
    store, table = Store(f"memory://{tmp_path.name}"), pa.table({"number": range(100_000)})
    pq.write_table(table, tmp_path / "file", row_group_size=1_000)
    store.send(tmp_path / "file", "file")
    with store.open("file") as file:
        assert pq.read_table(file) == table
    with store.open("file") as file:
        assert (file.read(2), file.seek(-4, io.SEEK_END) > 0, file.read()) == (b"PA", True, b"PAR1")
    assert file.closed


def test_videos_that_cannot_be_reached(tmp_path):
    with pytest.raises(StreamError, match=r"cannot read down://videos: Could not connect to the endpoint\. Fix: "):
        found_videos(["down://videos"])
    with pytest.raises(
        ReadFailed, match=r"cannot read down://videos/a\.mp4: Could not connect to the endpoint\. Fix: "
    ):
        fetch_video("down://videos/a.mp4", tmp_path)


@pytest.mark.parametrize("name", ["run", "status", "retry", "join", "verify"])
def test_a_command_ends_with_one_line(name):
    done = CliRunner().invoke(main, ["archive", name, "down://out"])
    assert done.exit_code == 8, done.output
    assert len(done.stderr.splitlines()) == 1
    assert "cannot read manifest.parquet in down://out: Could not connect to the endpoint. Fix: check" in done.stderr


def test_an_endpoint_that_goes_away_at_any_call(tmp_path, monkeypatch):
    film = write_squares(tmp_path / "film.mp4", 30)
    num_calls = 0
    while True:
        monkeypatch.setattr(Down, "works", num_calls)
        address = f"down://{tmp_path.name}-{num_calls}"
        try:
            store, manifest = make_plan([str(film)], address, tmp_path / "engine.onnx")
            status(store, manifest)
            break
        except SinkError as err:
            assert re.search(UNREACHABLE, str(err))  # noqa: PT017 - which call it is differs
        num_calls += 1
    assert num_calls > 5


def test_an_endpoint_that_goes_away_in_mid_run(tmp_path, monkeypatch):
    film = write_squares(tmp_path / "film.mp4", 30)
    monkeypatch.setattr(Down, "works", 10_000)
    store, manifest = make_plan([str(film)], f"down://{tmp_path.name}", tmp_path / "engine.onnx")
    run = make_run(store, manifest, recipe_of(tmp_path / "engine.onnx"))
    monkeypatch.setattr(run, "_give", lambda crew: setattr(Down, "works", 0) or ArchiveRun._give(run, crew))
    with pytest.raises(SinkError, match=UNREACHABLE):
        run.run()


class Flaky(Store):
    """A folder whose calls fail as often as the test says."""

    def __init__(self, folder, faults: list[Exception]) -> None:
        super().__init__(str(folder))
        self._fs = _Failing(self._fs, faults)


class _Failing:
    def __init__(self, fs, faults) -> None:
        self._inner, self._faults = fs, faults

    def __getattr__(self, name):
        call = getattr(self._inner, name)

        def failing(*args, **settings):
            if self._faults:
                raise self._faults.pop()
            return call(*args, **settings)

        return failing if name in ("find", "cat_file", "isfile", "open", "get_file", "pipe_file", "put_file") else call


CALLS = [
    lambda store, path: store.list("."),
    lambda store, path: store.read("a"),
    lambda store, path: store.exists("a"),
    lambda store, path: store.open("a").close(),
    lambda store, path: store.read_with("a", lambda file: file.read()),
    lambda store, path: store.fetch("a", path),
    lambda store, path: store.write("a", b"new"),
    lambda store, path: store.send(path, "a"),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", [OSError(errno.ESTALE, "Stale file handle"), EndpointDownError("slow down")])
def test_a_passing_fault_is_tried_again(call, fault, tmp_path):
    faults = []
    store, path = Flaky(tmp_path / "out", faults), tmp_path / "file"
    store.write("a", b"old")
    path.write_bytes(b"sent")
    faults += [fault, fault]
    call(store, path)
    assert faults == []
    faults += [fault, fault, fault]
    with pytest.raises(PassingFault, match=r"Stale file handle|slow down"):
        call(store, path)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_fault_that_stays_is_told_at_once(call, number, tmp_path):
    faults = []
    store = Flaky(tmp_path / "out", faults)
    store.write("a", b"old")
    (tmp_path / "file").write_bytes(b"sent")
    faults += [OSError(number, os.strerror(number))] * 2
    with pytest.raises(SinkError, match=os.strerror(number)) as caught:
        call(store, tmp_path / "file")
    assert not isinstance(caught.value, PassingFault)
    assert len(faults) == 1


def test_an_address_that_was_never_reached_is_not_tried_again(tmp_path):
    faults = [OSError(errno.ETIMEDOUT, "timed out")] * 2
    with pytest.raises(PassingFault, match="timed out"):
        Flaky(tmp_path, faults).read("a")
    assert len(faults) == 1


def test_a_segment_that_the_disk_does_not_give_is_not_a_damaged_one(tmp_path, monkeypatch):
    film = write_squares(tmp_path / "film.mp4", 30)
    store, manifest = make_plan([str(film)], str(tmp_path / "out"), tmp_path / "engine.onnx")
    make_run(store, manifest, recipe_of(tmp_path / "engine.onnx")).run()
    works = all_work(manifest, plans(manifest, store))
    with monkeypatch.context() as broken:
        broken.setattr(segments, "is_sealed", Mock(side_effect=OSError(errno.EIO, "Input/output error")))
        with pytest.raises(PassingFault, match=r"cannot read segments/.*: .*Input/output error"):
            remove_damaged(store, works)
    assert remove_damaged(store, works) == 0
    assert len(finished(store, works)) == len(works) == 1


def test_a_list_that_fails_in_mid_run_ends_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_work, "_LIST_EVERY_S", -1.0)
    monkeypatch.setattr(archive_work, "_LIST_SHARE", 0.0)
    faults = [OSError(errno.ESTALE, "Stale file handle")]
    works = [Work(VideoRow(id="0", address="/a"), Segment(number, 0, 9, ""), False, "") for number in range(3)]
    assert list(without_finished(works, Flaky(tmp_path, faults), set())) == works
    assert faults == []
