"""WholeLines: a text file that has only complete lines, even if its writer is killed."""

import errno
import os
import select
from contextlib import suppress
from pathlib import Path

from fer_deploy.errors import ReaderEndedError, SinkError

STANDARD_OUTPUT = Path("-")


class WholeLines:
    """Appends lines without a buffer: other programs can follow the file, and a kill loses no line.

    Used by one thread at a time.

    Attributes:
        has_failed: whether lines are missing.
    """

    def __init__(self, path: Path, *, fix: str) -> None:
        """Create the file, and its folder; an existing file is replaced.

        Args:
            path: of the file, or `STANDARD_OUTPUT`.
            fix: end of messages, such as "another --csv".

        Raises:
            SinkError: the file cannot be created.
        """
        self._path, self._fix = path, fix
        self._size_bytes = 0
        self.has_failed = False
        try:
            if path == STANDARD_OUTPUT:
                self._file = open(os.dup(1), "wb", buffering=0)  # noqa: SIM115 - closed by `close`
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("wb", buffering=0)
        except OSError as err:
            raise SinkError(f"cannot write {path}: {err.strerror}. Fix: {fix}") from err

    def append(self, lines: str) -> None:
        """Append one or several lines, all or none of them.

        Raises:
            SinkError: they cannot be written; the file ends with the earlier lines.
        """
        data = memoryview(
            lines.encode("utf-8", "backslashreplace")
        )  # a file name need not be UTF-8; JSON reads it back
        total = self._size_bytes + len(data)
        self.has_failed, had_failed = True, self.has_failed  # until all lines are written, for any exception
        try:
            while data:
                written = self._file.write(data)
                if written is None:  # a full terminal or pipe that another process made non-blocking
                    self._wait_for_room()
                data = data[written or 0 :]
        except OSError as err:
            if self._path != STANDARD_OUTPUT:  # other programs may write to standard output, too
                with suppress(OSError):  # a pipe or a device cannot be truncated
                    os.ftruncate(self._file.fileno(), self._size_bytes)
            if err.errno == errno.EPIPE:
                if self._path == STANDARD_OUTPUT:
                    raise ReaderEndedError("the program that reads the lines has ended") from err
                raise SinkError(
                    "the program that reads the lines has ended. Fix: keep it running, or write to a file"
                ) from err
            raise SinkError(
                f"cannot write {self._path}: {err.strerror}. The lines before are complete. "
                f"Fix: free some space, or {self._fix}"
            ) from err
        self._size_bytes, self.has_failed = total, had_failed

    @property
    def is_empty(self) -> bool:
        """Whether no line has been written."""
        return self._size_bytes == 0

    def _wait_for_room(self) -> None:
        room = select.poll()
        room.register(self._file, select.POLLOUT)
        room.poll()

    def close(self) -> None:
        """Close the file.

        Raises:
            SinkError: earlier lines did not reach the disk.
        """
        try:
            self._file.close()
        except OSError as err:
            raise SinkError(f"cannot finish {self._path}: {err.strerror}. Fix: check the disk, and run again") from err
