"""Annotated pictures as PNG. A mark in the file says that fer-deploy drew it: such a file may be replaced."""

import struct
import zlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import SinkError

_MARK: Final = b"Software\0fer-deploy, annotated picture"
"""Content of a tEXt chunk (PNG specification, 11.3.3.2)."""
_HEADER_BYTES: Final = 8 + 25
"""Signature and IHDR; the mark is next."""


def png_from_picture(picture: NDArray[np.uint8], *, name: str) -> bytes:
    """Return a picture, (H, W, 3) uint8 BGR, as PNG with the mark.

    Args:
        picture: the pixels.
        name: of the file, for the error.

    Raises:
        SinkError: it is too large for PNG.
    """
    is_encoded, encoded = cv2.imencode(".png", picture)
    if not is_encoded:
        raise SinkError(f"cannot encode {name} as PNG. Fix: leave that picture out")
    png = encoded.tobytes()
    chunk = b"tEXt" + _MARK
    mark = struct.pack(">I", len(_MARK)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:_HEADER_BYTES] + mark + png[_HEADER_BYTES:]


def is_drawn_png(path: Path) -> bool:
    """Return whether fer-deploy drew this file; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_HEADER_BYTES + 8 + len(_MARK))
    except (OSError, ValueError):
        return False
