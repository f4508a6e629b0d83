"""Report failed writes to standard output, such as on a full disk."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from fer_train.errors import OutputError


class _Watched:
    """A text stream that remembers the error of a failed write or flush, and is otherwise unchanged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as err:
            self.failure = err
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as err:
            self.failure = err
            raise


@contextmanager
def failures_as_output_errors() -> Iterator[None]:
    """Turn an OSError of standard output, in the block or at its end, into an OutputError.

    Raises:
        OutputError: standard output cannot be written. An OSError of anything else goes through.
    """
    before = sys.stdout
    watched = _Watched(before)
    sys.stdout = watched
    try:
        try:
            yield
        finally:
            with suppress(ValueError):  # closed
                watched.flush()
    except OSError as err:
        if err is not watched.failure:
            raise
        _lead_nowhere(before)
        raise OutputError(
            f"cannot write to standard output: {err.strerror or err}. Fix: check what standard output leads to, "
            "such as the room on its disk"
        ) from err
    finally:
        sys.stdout = before


def _lead_nowhere(stream: TextIO) -> None:
    """Discard the buffer; otherwise Python writes it again at exit, and fails again."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
