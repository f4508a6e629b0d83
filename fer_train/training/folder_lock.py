"""Lock a folder for one run: two runs that write the same files would mix them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_train.errors import CheckpointError


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Lock the folder and create it if it is missing. The lock ends with the process, even after a kill.

    Raises:
        CheckpointError: another process has the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # the first file of the run fails for the same reason, with a message
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
