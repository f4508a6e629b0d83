"""Annotated pictures are PNG files that are known again."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_deploy.errors import SinkError
from fer_deploy.live.drawing.drawn_png import is_drawn_png, png_from_picture

PICTURE = np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3)


def test_pixels_stay_and_the_mark_is_text(tmp_path):
    png = png_from_picture(PICTURE, name="a")
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), PICTURE)
    with Image.open(io.BytesIO(png)) as opened:  # checks the chunk's CRC
        opened.load()
        assert opened.text["Software"] == "fer-deploy, annotated picture"
    (tmp_path / "a.png").write_bytes(png)
    assert is_drawn_png(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", cv2.imencode(".png", PICTURE)[1].tobytes()])
def test_files_of_others(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert not is_drawn_png(tmp_path / "a.png")
    assert not is_drawn_png(tmp_path / "missing.png")
    assert not is_drawn_png(tmp_path)


def test_too_large_for_png():
    with pytest.raises(SinkError, match=r"cannot encode wide\.png as PNG\. Fix: leave that picture out"):
        png_from_picture(np.zeros((1, 1_000_001, 3), np.uint8), name="wide.png")
