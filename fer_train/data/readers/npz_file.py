"""Check the array sizes in an .npz before NumPy allocates memory for them."""

import math
import zipfile
from typing import IO, Final

from numpy.lib import format as npy

MAX_BYTES: Final = 4 * 2**30
"""Largest size of all arrays together, unpacked. FER2013 has 83 MB."""


def require_true_sizes(file: IO[bytes]) -> None:
    """Compare the size in each array's header with the size of its entry; leaves the file at its beginning.

    NumPy allocates the size in the header, and zip entries may unpack to a thousand times their size.

    Raises:
        ValueError: an array's size differs from that of its entry, an array contains objects, or the total exceeds
            MAX_BYTES.
        zipfile.BadZipFile, OSError, EOFError, NotImplementedError: see `zipfile`.
    """
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if (total := sum(entry.file_size for entry in entries)) > MAX_BYTES:
            raise ValueError(f"unpacked it has {total:,} bytes, expected at most {MAX_BYTES:,}")
        for entry in entries:
            with archive.open(entry) as stream:
                announced = _announced_bytes(stream)
                there = entry.file_size - stream.tell()
            if announced != there:
                raise ValueError(f"{entry.filename} announces {announced:,} bytes and has {there:,}")
    file.seek(0)


def _announced_bytes(stream: IO[bytes]) -> int:
    """Read an array's header and return the number of bytes that should follow it."""
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("an array holds Python objects")
    return math.prod(shape) * int(dtype.itemsize)
