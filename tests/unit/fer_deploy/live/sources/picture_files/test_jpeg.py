"""JPEGs that are whole and that break off."""

import cv2
import numpy as np
import pytest

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import open_source
from fer_deploy.live.sources.picture_files.jpeg import breaks_off


def jpeg(*options: int, size=(60, 80)) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", noise, list(options))[1].tobytes()


def with_thumbnail(data: bytes) -> bytes:
    thumbnail = jpeg(size=(8, 8))
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    return data[:2] + segment + data[2:]


KINDS = {
    "baseline": jpeg(),
    "progressive": jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restart markers": jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "thumbnail": with_thumbnail(jpeg()),
    "fill bytes": jpeg()[:2] + b"\xff\xff" + jpeg()[2:],
}


@pytest.mark.parametrize("kind", KINDS)
def test_whole(kind):
    assert not breaks_off(KINDS[kind])
    assert not breaks_off(KINDS[kind] + b"what a camera adds, \xff\xd8 and all")
    assert cv2.imdecode(np.frombuffer(KINDS[kind], np.uint8), cv2.IMREAD_COLOR) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere(kind):
    data = KINDS[kind]
    assert all(breaks_off(data[:num]) for num in range(2, len(data)))


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x89PNG\r\n\x1a\n", b"RIFF"])
def test_what_is_no_jpeg_is_for_others_to_judge(data):
    assert not breaks_off(data)


def test_a_picture_that_breaks_off_is_skipped_and_counted(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg()[: len(jpeg()) * 6 // 10])
    (tmp_path / "b.jpg").write_bytes(jpeg())
    source = open_source(str(tmp_path))
    assert [frame.name for frame in source.frames()] == ["b.jpg"]
    assert (source.health.num_corrupt, source.health.last_error.split("a.jpg ")[1]) == (
        1,
        "is truncated. Fix: restore or remove the file",
    )


def test_a_folder_that_nobody_may_look_into(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(StreamError, match=r"cannot read the folder .*: Permission denied\. Fix: check its permissions"):
        open_source(str(tmp_path))
