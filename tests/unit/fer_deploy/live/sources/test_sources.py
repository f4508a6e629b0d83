import re
from itertools import pairwise

import cv2
import numpy as np
import pytest

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import PictureSource, SyntheticSource, VideoSource, open_source


def drain(source):
    try:
        return list(source.frames())
    finally:
        source.close()


class TestVideoFiles:
    @pytest.mark.parametrize(("name", "fourcc"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v")])
    def test_every_frame_in_order(self, write_video, name, fourcc):
        source = open_source(str(write_video(name, fourcc)))
        assert isinstance(source, VideoSource)
        assert source.is_live is False
        assert source.fps == pytest.approx(12, abs=0.01)
        frames = drain(source)
        assert [frame.index for frame in frames] == list(range(6))
        assert [frame.time_s for frame in frames] == pytest.approx([i / 12 for i in range(6)], abs=1e-3)
        for frame in frames:
            assert (frame.frame_bgr.shape, frame.frame_bgr.dtype) == ((48, 64, 3), np.uint8)
            assert abs(frame.frame_bgr.mean() - (40 + 10 * frame.index)) < 5
        assert [frame.captured_ns for frame in frames] == sorted(frame.captured_ns for frame in frames)

    def test_frames_own_their_pixels(self, write_video):
        frames = drain(open_source(str(write_video("a.avi", "MJPG"))))
        assert not any(np.shares_memory(a.frame_bgr, b.frame_bgr) for a, b in pairwise(frames))

    def test_gif(self, tmp_path):
        path = tmp_path / "a.gif"
        assert cv2.imwritemulti(str(path), [np.full((48, 64, 3), 30 * i, dtype=np.uint8) for i in range(6)])
        frames = drain(open_source(str(path)))
        assert len(frames) == 6
        assert {frame.frame_bgr.shape for frame in frames} == {(48, 64, 3)}
        assert abs(int(frames[-1].frame_bgr[9, 9, 0]) - 150) < 40

    @pytest.mark.parametrize("content", [b"hello, I am a text\n" * 50, b"", b"\x00\x00\x00\x18ftypmp42"])
    def test_not_a_video(self, tmp_path, content):
        path = tmp_path / "notes.mp4"
        path.write_bytes(content)
        with pytest.raises(StreamError, match=r"cannot open the file as a video .*notes\.mp4.*Fix: "):
            open_source(str(path))


class TestLiveStreams:
    def test_camera_absent(self):
        with pytest.raises(
            StreamError,
            match=r"cannot open camera 99: it cannot be opened; cameras on this machine: .*"
            r'source="synthetic" \(--source synthetic\)$',
        ):
            open_source("99")

    def test_camera_number_beyond_any(self):
        with pytest.raises(StreamError, match="camera 99999999999"):
            open_source("99999999999")

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("rtsp://user:secret@127.0.0.1:1/live", "rtsp://***@127.0.0.1:1/live"),
            ("rtsp://user:sec@ret@127.0.0.1:1/live", "rtsp://***@127.0.0.1:1/live"),
            ("http://127.0.0.1:1/a.mjpg", "http://127.0.0.1:1/a.mjpg"),
        ],
    )
    def test_url_is_named_without_password(self, url, shown):
        with pytest.raises(StreamError, match="cannot open the stream") as caught:
            open_source(url)
        assert shown in str(caught.value)
        assert "sec" not in str(caught.value)

    def test_unknown_scheme(self):
        with pytest.raises(StreamError, match=r"Protocol not found\. Fix: an address begins with rtsp://"):
            open_source("rtps://127.0.0.1:1/live")


class TestPictures:
    @pytest.fixture
    def folder(self, tmp_path):
        for name, level in (("b.png", 20), ("a.JPG", 10), ("c.bmp", 30)):
            cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), level, dtype=np.uint8))
        (tmp_path / "readme.txt").write_text("no picture")
        (tmp_path / "sub").mkdir()
        return tmp_path

    def test_folder_in_the_order_of_names(self, folder):
        source = open_source(str(folder))
        assert isinstance(source, PictureSource)
        assert source.is_live is False
        frames = drain(source)
        assert [(f.index, f.name, int(f.frame_bgr[0, 0, 0])) for f in frames] == [
            (0, "a.JPG", 10),
            (1, "b.png", 20),
            (2, "c.bmp", 30),
        ]
        assert [f.time_s for f in frames] == [0.0, 0.5, 1.0]

    def test_single_picture(self, folder):
        (frame,) = drain(open_source(str(folder / "b.png")))
        assert (frame.name, frame.frame_bgr.shape) == ("b.png", (20, 30, 3))

    @pytest.mark.parametrize("picture", [np.full((9, 9), 7, np.uint8), np.full((9, 9, 4), 7, np.uint8)])
    def test_gray_and_transparent_pictures_become_bgr(self, tmp_path, picture):
        cv2.imwrite(str(tmp_path / "a.png"), picture)
        (frame,) = drain(open_source(str(tmp_path)))
        assert frame.frame_bgr.shape == (9, 9, 3)

    def test_undecodable_file_is_skipped_and_named(self, folder):
        (folder / "b2.png").write_bytes(b"not a picture")
        source = open_source(str(folder))
        frames = drain(source)
        assert [(f.index, f.name, f.time_s) for f in frames] == [
            (0, "a.JPG", 0.0),
            (1, "b.png", 0.5),
            (3, "c.bmp", 1.5),
        ]
        assert (source.num_frames, source.health.num_corrupt) == (4, 1)
        assert re.search(r"cannot decode .*b2\.png as a picture\. Fix: restore or remove", source.health.last_error)

    def test_none_that_can_be_decoded(self, tmp_path):
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_bytes(b"not a picture")
        with pytest.raises(StreamError, match=r"cannot decode .*b\.png as a picture\. Fix: restore or remove"):
            drain(open_source(str(tmp_path)))

    def test_empty_folder(self, tmp_path):
        with pytest.raises(StreamError, match=r"has no pictures \(\.png, \.jpg, .*Fix: name a folder with pictures"):
            open_source(str(tmp_path))


@pytest.mark.parametrize("number", ["x", "", "-1", "12345", "1x"])
def test_a_stream_that_is_no_number(tmp_path, number):
    film = tmp_path / "film.mkv"
    film.write_bytes(b"x")
    with pytest.raises(StreamError) as caught:
        open_source(f"{film}#{number}")
    text = str(caught.value)
    assert (
        f"#N after the name chooses a video stream and must be a number of at most 4 digits, found {number!r}" in text
    )
    assert text.endswith(f"Fix: {film}, or {film}#0")


@pytest.mark.parametrize("text", ["nothing.mp4", "camera", "-1", "a" * 300])
def test_no_such_source(text):
    with pytest.raises(StreamError, match=r"no source .*Fix: check the path; or name a camera .*or synthetic"):
        open_source(text)


def test_synthetic_by_name():
    source = open_source("synthetic")
    assert isinstance(source, SyntheticSource)
    assert source.is_live is False
