"""Recordings that are damaged, break off, change size, or stand on their side."""

import io
import struct

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import MAX_STRICT_FAILURES, VideoDecoder
from fer_deploy.live.sources import open_source

NUM = 60


def pictures(num=NUM, size=(64, 48)):
    for index in range(num):
        yield np.random.default_rng(index).integers(0, 90, (size[1], size[0], 3), dtype=np.uint8) + np.uint8(index)


def write(path, codec, frames, *, rate=12, options=None):
    frames = list(frames)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        container.mux(stream.encode())
    return path


def drain(source):
    try:
        return list(source.frames())
    finally:
        source.close()


@pytest.mark.parametrize("name", ["a.ts", "a.avi"])
def test_damage_in_the_middle_is_skipped_and_counted(tmp_path, capfd, name):
    path = write(tmp_path / name, "libx264" if name != "a.avi" else "mjpeg", pictures())
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 900] = bytes(900)
    path.write_bytes(content)
    source = open_source(str(path))
    frames = drain(source)
    assert source.health.num_corrupt >= 1
    assert NUM // 2 < len(frames) < NUM
    assert [frame.index for frame in frames] == list(range(len(frames)))
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    if name == "a.avi":  # AVI counts its pictures: a lost one takes its time along. 900 bytes are in 4 of them at most
        assert len(frames) >= NUM - 4
        assert (len(frames) - 1) / 12 - 1e-6 <= times[-1] <= (NUM - 1) / 12 + 1e-6
    else:
        assert times[-1] == pytest.approx((NUM - 1) / 12, abs=0.2)
    assert capfd.readouterr() == ("", "")


def test_file_that_breaks_off_gives_what_it_has(tmp_path):
    path = write(tmp_path / "a.mp4", "mpeg4", pictures(), options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    source = open_source(str(path))
    frames = drain(source)
    assert 3 < len(frames) < NUM - 10
    assert source.num_frames == NUM
    assert source.health.num_corrupt <= 1  # the packet in which the file ends
    assert len(frames) + source.health.num_corrupt + source.health.num_missing == NUM
    assert "a.mp4" in source.health.last_error


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_whole_file_has_nothing_to_tell(tmp_path, codec):
    source = open_source(str(write(tmp_path / "a.mp4", codec, pictures())))
    times = [frame.time_s for frame in drain(source)]
    assert times == pytest.approx([i / 12 for i in range(NUM)], abs=1e-3)  # also of those that the codec held back
    assert (source.health.num_corrupt, source.health.last_error) == (0, "")


def test_file_whose_index_is_missing(tmp_path):
    path = write(tmp_path / "a.mp4", "mpeg4", pictures())
    path.write_bytes(path.read_bytes()[:-2000])  # the index comes last
    with pytest.raises(StreamError, match=r"cannot open the file as a video .*a\.mp4: .*Invalid data.*Fix: "):
        open_source(str(path))


def test_stop(tmp_path):
    source = open_source(str(write(tmp_path / "a.mp4", "mpeg4", pictures())))
    frames = source.frames()
    next(frames)
    source.stop()
    assert list(frames) == []
    source.close()


def test_size_changes(tmp_path):
    parts = [write(tmp_path / f"{i}.ts", "libx264", pictures(8, size)) for i, size in enumerate([(64, 48), (96, 64)])]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = open_source(str(path))
    shapes = [frame.frame_bgr.shape for frame in drain(source)]
    assert shapes[0] == (48, 64, 3)
    assert shapes[-1] == (64, 96, 3)
    assert source.health.num_size_changes == 1


def corners() -> NDArray[np.uint8]:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32] = 240, 160, 80
    return picture


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((0, 1, -1, 0), np.rot90(corners(), -1)),
        ((-1, 0, 0, -1), np.rot90(corners(), 2)),
        ((0, -1, 1, 0), np.rot90(corners())),
    ],
)
def test_phone_held_upright(tmp_path, matrix, expected):
    """Phones write the sensor's picture and a matrix that turns it."""
    path = write(tmp_path / "a.mp4", "mpeg4", [corners()] * 3)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    for frame in drain(open_source(str(path))):
        assert frame.frame_bgr.shape == expected.shape
        assert frame.frame_bgr.flags.c_contiguous
        assert np.abs(frame.frame_bgr.astype(int) - expected).mean() < 4


class TestBrokenJpegs:
    def stream(self, tmp_path, is_broken):
        content = b""
        for index in range(20):
            path = write(tmp_path / "a.mjpeg", "mjpeg", list(pictures(index + 1))[-1:])
            whole = path.read_bytes()
            content += whole[: len(whole) // 2] if is_broken(index) else whole
        return io.BytesIO(content)

    def test_are_not_shown_with_a_gray_rest(self, tmp_path):
        decoder = VideoDecoder(self.stream(tmp_path, lambda index: index % 2 == 1), container_format="mjpeg")
        assert sum(picture is not None for picture in decoder.pictures()) == 10
        assert decoder.num_corrupt == 10
        decoder.close()

    def test_camera_that_writes_no_other_ones_is_believed(self, tmp_path):
        decoder = VideoDecoder(self.stream(tmp_path, lambda index: True), container_format="mjpeg")
        assert sum(picture is not None for picture in decoder.pictures()) == 20 - MAX_STRICT_FAILURES
        assert decoder.num_corrupt == MAX_STRICT_FAILURES
        decoder.close()
