"""Tests for recorded_date: the container's day, else that of the file."""

import av
import numpy as np
import pytest

from fer_deploy.archive.planning.inputs import is_list
from fer_deploy.archive.planning.recorded import Recorded, recorded_date

NOON = 1_700_000_000.0
MODIFIED = Recorded("2023-11-14", "modified")


def film(path, metadata: dict[str, str], *, options: dict[str, str] | None = None):
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(metadata)
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "bgr24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "metadata", "expected"),
    [
        ("a.mp4", {"creation_time": "2021-05-06T23:30:00Z"}, Recorded("2021-05-06", "creation_time")),
        ("a.mkv", {"creation_time": "2021-05-06T23:30:00Z"}, Recorded("2021-05-06", "creation_time")),
        ("a.mp4", {"creation_time": "1904-01-01T00:00:00Z"}, MODIFIED),
        ("a.mp4", {"creation_time": "1970-01-01T00:00:00Z"}, MODIFIED),
        ("a.mkv", {"creation_time": "yesterday"}, MODIFIED),
        ("a.mp4", {}, MODIFIED),
    ],
)
def test_the_day_of_a_container(name, metadata, expected, tmp_path):
    assert recorded_date(film(tmp_path / name, metadata), NOON) == expected


def test_the_local_day_of_a_phone_wins(tmp_path):
    told = {"creation_time": "2021-05-06T23:30:00Z", "com.apple.quicktime.creationdate": "2021-05-07T01:30:00+0200"}
    path = film(tmp_path / "a.mov", told, options={"movflags": "use_metadata_tags"})
    assert recorded_date(path, NOON) == Recorded("2021-05-07", "creation_time")


def test_nothing_is_known_of_it(tmp_path):
    assert recorded_date(film(tmp_path / "a.mp4", {}), 0.0) == Recorded()
    (tmp_path / "none.mp4").write_bytes(b"no video")
    assert recorded_date(tmp_path / "none.mp4", NOON) == MODIFIED


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("list.txt", b"one.mp4\ntwo.mp4\n", True),
        ("list", "\u00fc".encode() * 4000, True),
        ("list.txt", b"a" + "\u00fc".encode() * 4000, True),
        ("list.mp4", b"one.mp4\n", False),
        ("film.dat", b"\x00\x00\x01\xba", False),
        ("film.dat", bytes(range(1, 256)), False),
        ("empty", b"", False),
    ],
)
def test_a_text_is_perhaps_a_list(name, content, expected, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert is_list(str(tmp_path / name)) == expected
    assert not is_list(str(tmp_path / "absent.txt"))
    assert not is_list("s3://bucket/list.txt")
