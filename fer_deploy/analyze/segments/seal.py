"""Seal: a digest of a whole Parquet file, between its data and its footer, so that damage is found without decoding.

Readers of Parquet find the data by its places and the footer by its length, so they do not see the seal. Parquet itself
notices damage only where a page cannot be decompressed, and a truncated file by its last letters.
"""

import hashlib
import io
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_SEAL_BYTES: Final = 32
"""SHA-256: processors compute it."""
_END_BYTES: Final = 8
"""The length of the footer, and PAR1."""
_PART_BYTES: Final = 2**20


class SealedFile(io.RawIOBase):
    """A file that a Parquet writer fills in order. The footer is held back until the seal before it is known."""

    def __init__(self, file: IO[bytes]) -> None:
        """Set the file, which the caller closes."""
        self._file, self._digest = file, _new()
        self._footer: list[bytes] | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, content: "ReadableBuffer", /) -> int:
        """Write bytes."""
        part = bytes(content)
        self._digest.update(part)
        if self._footer is None:
            return self._file.write(part)
        self._footer.append(part)
        return len(part)

    def tell(self) -> int:
        """Return the number of bytes that were written."""
        return self._file.tell() + sum(map(len, self._footer or ()))

    def begin_footer(self) -> None:
        """All data is written; the writer goes on with the footer."""
        self._footer = []

    def seal(self) -> None:
        """Write the seal and the footer; the writer has ended."""
        self._file.write(self._digest.digest() + b"".join(self._footer or ()))


def is_sealed(file: IO[bytes]) -> bool:
    """Return whether all bytes of a file are those that were written; reads them."""
    size = file.seek(0, io.SEEK_END)
    if size < _END_BYTES:
        return False
    file.seek(size - _END_BYTES)
    seal_at = size - _END_BYTES - int.from_bytes(file.read(_END_BYTES)[:4], "little") - _SEAL_BYTES
    if seal_at < 0:
        return False
    file.seek(0)
    digest = _new()
    _add(digest, file, seal_at)
    seal = file.read(_SEAL_BYTES)
    _add(digest, file, size - seal_at - _SEAL_BYTES)
    return digest.digest() == seal


def _add(digest: "hashlib._Hash", file: IO[bytes], num_bytes: int) -> None:
    while num_bytes > 0 and (part := file.read(min(num_bytes, _PART_BYTES))):
        digest.update(part)
        num_bytes -= len(part)


def _new() -> "hashlib._Hash":
    return hashlib.sha256()
