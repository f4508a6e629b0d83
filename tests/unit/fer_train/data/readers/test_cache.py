import errno
import logging
import os

import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces

from fer_train.data.faces import Faces
from fer_train.data.readers.cache import FORMAT, read_through_cache


class CountingParser:
    """Stands in for the CSV parser: one face, whose pixels are the first byte of the source."""

    def __init__(self):
        self.calls = 0

    def __call__(self, path, sha256):
        self.calls += 1
        faces = make_faces(Training=1)
        return Faces(np.full_like(faces.images, path.read_bytes()[0]), faces.labels, faces.splits, faces.rows, sha256)


@pytest.fixture
def parse():
    return CountingParser()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(b"A")
    return path


@pytest.fixture
def cache(source):
    return source.with_name("fer2013.csv.cache.npz")


def names_in(folder):
    return sorted(p.name for p in folder.iterdir())


def test_second_read_does_not_parse(source, parse):
    first, second = read_through_cache(source, parse), read_through_cache(source, parse)
    assert parse.calls == 1
    assert names_in(source.parent) == ["fer2013.csv", "fer2013.csv.cache.npz"]
    assert second.source_sha256 == first.source_sha256
    for name in ("images", "labels", "splits", "rows"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype


def test_changed_source_of_the_same_size_and_time_is_noticed(source, parse):
    read_through_cache(source, parse)
    times = source.stat()
    source.write_bytes(b"B")
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (read_through_cache(source, parse).images == ord("B")).all()
    assert parse.calls == 2


def ask_for_a_newer_zip(whole):
    at = whole.rindex(b"PK\x01\x02") + 6  # the version of the format that is needed to read the entry
    return whole[:at] + b"\xff" + whole[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[: len(whole) // 2], id="truncated"),
        pytest.param(lambda whole: whole[:-1], id="one byte short"),
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: b"garbage" * 99, id="garbage"),
        pytest.param(lambda whole: whole.replace(bytes([ord("A")] * 48), bytes(48), 1), id="changed pixels"),
        pytest.param(lambda whole: whole.replace(b"(1, 48, 48), }", b"(1, 48, 48), ("), id="array header"),
        pytest.param(ask_for_a_newer_zip, id="zip version"),
    ],
)
def test_damaged_cache_is_ignored_and_replaced(source, cache, parse, caplog, damage):
    read_through_cache(source, parse)
    damaged = damage(cache.read_bytes())
    assert damaged != cache.read_bytes()
    cache.write_bytes(damaged)
    assert (read_through_cache(source, parse).images == ord("A")).all()
    assert f"ignoring the unreadable cache {cache}" in caplog.text
    read_through_cache(source, parse)
    assert parse.calls == 2


def lying_header(shape):
    """Return the cache with an array of images that announces this shape; the length of the header stays."""

    def damage(whole):
        honest = b"'shape': (1, 48, 48), }"
        lie = f"'shape': {shape}, }}".encode()
        at = whole.index(honest)
        end = whole.index(b"\n", at)
        assert len(lie) <= end - at
        return whole[:at] + lie.ljust(end - at) + whole[end:]

    return damage


@pytest.mark.parametrize("shape", ["(999999999999, 48, 48)", "(2, 48, 48)", "(1, 1, 1)", "(-1, 48, 48)"])
def test_cache_that_lies_about_its_size_is_ignored(source, cache, parse, caplog, shape, monkeypatch):
    read_through_cache(source, parse)
    cache.write_bytes(lying_header(shape)(cache.read_bytes()))
    monkeypatch.setattr(np, "load", None)  # NumPy would allocate what the header says
    assert (read_through_cache(source, parse).images == ord("A")).all()
    assert f"ignoring the unreadable cache {cache}" in caplog.text
    assert parse.calls == 2


def test_cache_that_unpacks_to_gigabytes_is_ignored(source, cache, parse, caplog, monkeypatch):
    sha256 = read_through_cache(source, parse).source_sha256
    with cache.open("wb") as file:
        np.savez_compressed(file, format=FORMAT, source_sha256=sha256, images=np.zeros((9000, 48, 48), np.uint8))
    monkeypatch.setattr("fer_train.data.readers.npz_file.MAX_BYTES", 2**20)
    assert (read_through_cache(source, parse).images == ord("A")).all()
    assert "expected at most 1,048,576" in caplog.text


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"labels": np.zeros(2, np.int64)}, "its arrays are"),
        ({"images": np.zeros((1, 48, 48))}, "its arrays are"),
        ({"images": np.zeros((1, 24, 24), np.uint8)}, "its arrays are"),
        ({"rows": np.zeros((1, 1), np.int64)}, "its arrays are"),
        ({"splits": np.zeros(1, np.int64)}, "its arrays are"),
        ({"labels": np.array([7])}, "it has 1 faces with labels up to 7"),
        ({"labels": np.array([-1])}, "it has 1 faces with labels up to"),
    ],
)
def test_cache_whose_arrays_do_not_fit_is_ignored(source, cache, parse, caplog, changed, what):
    faces = read_through_cache(source, parse)
    arrays = {"images": faces.images, "labels": faces.labels, "splits": faces.splits, "rows": faces.rows} | changed
    with cache.open("wb") as file:
        np.savez(file, format=FORMAT, source_sha256=faces.source_sha256, **arrays)
    assert (read_through_cache(source, parse).images == ord("A")).all()
    assert what in caplog.text
    assert parse.calls == 2


def test_cache_that_is_another_npy_file_is_ignored(source, cache, parse):
    with cache.open("wb") as file:
        np.save(file, np.zeros(3))
    assert (read_through_cache(source, parse).images == ord("A")).all()


def test_cache_of_an_older_format_is_not_trusted(source, cache, parse, monkeypatch):
    read_through_cache(source, parse)
    monkeypatch.setattr("fer_train.data.readers.cache.FORMAT", "fer-faces-0")
    read_through_cache(source, parse)
    assert parse.calls == 2


def half_write(error):
    def savez(file, **arrays):
        file.write(b"PK\x03\x04 half of it")
        raise error

    return savez


def test_full_disk_only_warns_and_leaves_nothing_behind(source, parse, monkeypatch, caplog):
    monkeypatch.setattr(np, "savez", half_write(OSError(errno.ENOSPC, "No space left on device")))
    assert len(read_through_cache(source, parse)) == 1
    assert "No space left on device" in caplog.text
    assert "The next run parses the CSV again" in caplog.text
    assert names_in(source.parent) == ["fer2013.csv"]


def test_interrupt_while_writing_leaves_nothing_behind(source, parse, monkeypatch):
    monkeypatch.setattr(np, "savez", half_write(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        read_through_cache(source, parse)
    assert names_in(source.parent) == ["fer2013.csv"]


def test_temporary_file_of_a_killed_run_never_counts(source, parse):
    read_through_cache(source, parse)
    cache = source.with_name("fer2013.csv.cache.npz")
    cache.rename(source.with_name("tmpkilled.tmp"))
    read_through_cache(source, parse)
    assert parse.calls == 2


def test_folder_that_cannot_be_written_only_warns(source, parse, monkeypatch, caplog):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("numpy.savez", refuse)
    with caplog.at_level(logging.WARNING):
        assert len(read_through_cache(source, parse)) == 1
    assert "cannot write" in caplog.text
    assert "The next run parses the CSV again" in caplog.text
    assert "Permission denied" in caplog.text
    assert names_in(source.parent) == ["fer2013.csv"]
