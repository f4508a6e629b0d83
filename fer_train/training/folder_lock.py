"""One run in a folder at a time: two that write the same files would leave a mixture of both."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_train.errors import CheckpointError


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made where it is missing. A process that dies, however it dies, lets go of it.

    Raises:
        CheckpointError: another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # the first file of the run fails in the same way, and says so
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        os.close(handle)
        raise CheckpointError(f"another run is writing into {folder}. Fix: wait for its end, or another --out") from err
    try:
        yield
    finally:
        os.close(handle)
