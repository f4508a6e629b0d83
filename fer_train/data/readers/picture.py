"""Decode a picture file into a gray face.

Files are read as bytes, because a name may not be UTF-8. Pillow reads the header before the pixels are decoded, so a
picture that is too large costs no memory. Pillow also rejects a truncated file, which OpenCV would fill with gray.
OpenCV decodes the pixels.
"""

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fer_train.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
MAX_PIXELS = 50_000_000
"""Largest width times height, from the header; a face has 2,304 pixels."""
_FIX = "Fix: restore or remove the file"


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded file.

    Attributes:
        gray: (H, W) uint8; of several pages the first.
        num_pages: number of pages or frames in the file.
    """

    gray: NDArray[np.uint8]
    num_pages: int


def printable(path: Path | str) -> str:
    r"""Return a path as text for any terminal: a byte that is not UTF-8 becomes \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_picture(path: Path) -> Picture:
    """Decode a picture file.

    Raises:
        DataError: the file is unreadable, truncated or not decodable, or has more than `MAX_PIXELS`; the message
            names it.
    """
    try:
        content = path.read_bytes()
        num_pages = _check(content)
        gray = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except Exception as err:  # decoders raise many types, depending on which part is damaged
        raise DataError(f"{printable(path)} cannot be decoded as an image{_reason(err)}. {_FIX}") from err
    if gray is None:
        raise DataError(f"{printable(path)} cannot be decoded as an image. {_FIX}")
    return Picture(np.asarray(gray, dtype=np.uint8), num_pages)


def _check(content: bytes) -> int:
    """Return the number of pages, after checking that the picture is complete and not too large.

    Raises:
        Exception: any exception of Pillow for a damaged file; ValueError if the size is too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(f"its header announces {width:,} x {height:,} pixels, at most {MAX_PIXELS:,} are read")
            if image.format == "TIFF":
                warnings.simplefilter("error")  # Pillow only warns about a truncated table of tags
            image.load()
            return int(getattr(image, "n_frames", 1))


def _reason(err: Exception) -> str:
    if isinstance(err, UnidentifiedImageError):  # its message contains a memory address
        return ""
    if isinstance(err, Image.DecompressionBombError):  # Pillow's own limit, when it opens a file
        return f": its header announces more than the {MAX_PIXELS:,} pixels that are read"
    return f": {(str(err).strip().splitlines() or [type(err).__name__])[0][:200].rstrip('.')}"
