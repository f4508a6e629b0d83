"""GuardedFile: a file of another machine whose faults while it is read are turned into other exceptions."""

import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class GuardedFile(io.RawIOBase):
    """A file that is read in a guard, which turns faults into those of the reader's package."""

    def __init__(self, file: IO[bytes], reading: Callable[[], AbstractContextManager[None]]) -> None:
        """Read `file`; each call is in a context of `reading`."""
        self._file, self._reading = file, reading

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer; return the number of bytes."""
        view = memoryview(buffer)
        with self._reading():
            content = self._file.read(view.nbytes)
        view[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move; return the new position."""
        with self._reading():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
