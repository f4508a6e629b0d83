"""A store whose file system raises exceptions that are no OSError, as botocore's: an error in one line."""

import io
import re

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFileSystem
from integration.analyze_videos import write_squares
from integration.archive_videos import make_plan, make_run, recipe_of

from fer_deploy.archive.planning.inputs import found_videos
from fer_deploy.archive.run import ArchiveRun
from fer_deploy.archive.staging import ReadFailed, fetch_video
from fer_deploy.archive.status import status
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import about_segment
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
