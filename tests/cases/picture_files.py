"""Still pictures of every kind that is read, as bytes."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

STILLS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
"""Formats that may say how they are turned, with a suffix."""
FILMS = {"WEBP": ".webp", "PNG": ".png", "AVIF": ".avif"}
_ORIENTATION = 0x0112


def image_of(picture_bgr: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture_bgr[..., ::-1]))


def as_stored(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Return the picture that EXIF's orientation makes upright; the words are those of the standard (TIFF 6.0)."""
    return {
        1: picture,  # row 0 is the top, column 0 is the left side
        2: picture[:, ::-1],  # top, right
        3: picture[::-1, ::-1],  # bottom, right
        4: picture[::-1],  # bottom, left
        5: picture.transpose(1, 0, 2),  # left, top
        6: picture.transpose(1, 0, 2)[::-1],  # right, top
        7: picture.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: picture.transpose(1, 0, 2)[:, ::-1],  # left, bottom
    }[orientation]


def still(picture: np.ndarray, kind: str, orientation: int | None = None) -> bytes:
    """Return a file; with an orientation, of the picture as a camera stores it."""
    turned = picture if orientation is None else as_stored(picture, orientation)
    options: dict = {} if kind in ("PNG", "TIFF", "BMP") else {"quality": 95}
    if orientation is not None:
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        options |= {"tiffinfo": exif} if kind == "TIFF" else {"exif": exif.tobytes()}
    written = io.BytesIO()
    image_of(turned).save(written, kind, **options)
    return written.getvalue()


def several(pictures: list[np.ndarray], kind: str, *, duration_ms: int | None = None) -> bytes:
    """Return an animation, or a TIFF of several pages."""
    written = io.BytesIO()
    first, *more = [image_of(picture) for picture in pictures]
    timing = {} if duration_ms is None else {"duration": duration_ms}
    first.save(written, kind, save_all=True, append_images=more, **timing)
    return written.getvalue()


def huge_png(width: int = 40_000, height: int = 40_000) -> bytes:
    """Return some hundred bytes that announce more than a gigapixel."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes(999)))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
