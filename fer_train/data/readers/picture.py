"""Decode one picture file into a gray face, or say why it cannot be decoded.

Files are read as bytes: a name may be no UTF-8. Pillow reads the header before anything is decoded, so a size that is
too large costs nothing, and refuses a file that ends early, which OpenCV fills with gray. OpenCV decodes the pixels.
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
"""Width times height, from the header; a face has 2,304."""
_FIX = "Fix: restore or remove the file"


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded file.

    Attributes:
        gray: (H, W) uint8; the first page where there are several.
        num_pages: pages or frames in the file.
    """

    gray: NDArray[np.uint8]
    num_pages: int


def printable(path: Path | str) -> str:
    r"""Return a path as text that any terminal takes: a byte that is no UTF-8 becomes \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_picture(path: Path) -> Picture:
    """Decode a picture file.

    Raises:
        DataError: it cannot be read or decoded, ends early, or announces more than `MAX_PIXELS`; the message names it.
    """
    try:
        content = path.read_bytes()
        num_pages = _check(content)
        gray = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except Exception as err:  # decoders raise whatever the damaged part of the file provokes
        raise DataError(f"{printable(path)} cannot be decoded as an image{_reason(err)}. {_FIX}") from err
    if gray is None:
        raise DataError(f"{printable(path)} cannot be decoded as an image. {_FIX}")
    return Picture(np.asarray(gray, dtype=np.uint8), num_pages)


def _check(content: bytes) -> int:
    """Return the number of pages of a whole picture of a size that can be decoded.

    Raises:
        Exception: what Pillow raises on a damaged file; ValueError on too large a size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(f"its header announces {width:,} x {height:,} pixels, at most {MAX_PIXELS:,} are read")
            if image.format == "TIFF":
                warnings.simplefilter("error")  # it only warns of a table of tags that is cut off
            image.load()
            return int(getattr(image, "n_frames", 1))


def _reason(err: Exception) -> str:
    if isinstance(err, UnidentifiedImageError):  # its words name a memory address
        return ""
    if isinstance(err, Image.DecompressionBombError):  # Pillow's own limit, when it opens a file
        return f": its header announces more than the {MAX_PIXELS:,} pixels that are read"
    return f": {(str(err).strip().splitlines() or [type(err).__name__])[0][:200].rstrip('.')}"
