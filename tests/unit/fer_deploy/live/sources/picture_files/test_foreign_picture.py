"""Files that are not pictures: the error says what they are and what to do with them."""

import io

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.pictures import read_picture

BLACK = np.zeros((64, 64, 3), np.uint8)


def video(container, codec="mpeg4"):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as opened:
        stream = opened.add_stream(codec, rate=10, width=64, height=64, pix_fmt="yuv420p")
        for _ in range(3):
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(BLACK, format="bgr24")))
        opened.mux(stream.encode(None))
    return file.getvalue()


def picture(kind):
    file = io.BytesIO()
    Image.fromarray(BLACK).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "mpegts", "mov"])
def test_videos(tmp_path, container):
    path = tmp_path / "a b.jpg"
    path.write_bytes(video(container))
    with pytest.raises(StreamError, match=r"cannot decode .* as a picture: it is a video. Fix: fer-deploy") as err:
        read_picture(path)
    assert f"Fix: fer-deploy live --source '{path}', or Recognizer.stream" in str(err.value)
    with pytest.raises(StreamError, match=r"it is a video. Fix: fer-deploy live --source FILE, or Recognizer.stream$"):
        read_picture(path.read_bytes())


@pytest.mark.parametrize(
    ("kind", "what"), [("PDF", "a PDF"), ("PPM", "a PNM picture"), ("ICO", "an icon"), ("JPEG2000", "a JPEG 2000 pict")]
)
def test_pictures_of_other_formats(kind, what):
    with pytest.raises(StreamError, match=rf"as a picture: it is {what}.*. Fix: convert it to PNG$"):
        read_picture(picture(kind))


def test_a_drawing_and_a_pointer():
    with pytest.raises(StreamError, match=r"it is an SVG drawing. Fix: convert it to PNG"):
        read_picture(b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(StreamError, match=r"it is a pointer of Git LFS, not the picture itself. Fix: git lfs pull"):
        read_picture(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")


def test_a_tiff_of_fractions():
    content = cv2.imencode(".tiff", np.zeros((8, 8, 3), np.float32))[1].tobytes()
    with pytest.raises(
        StreamError, match=r"it is a TIFF that is damaged, or of .* Fix: restore it, or convert it to P"
    ):
        read_picture(content)
