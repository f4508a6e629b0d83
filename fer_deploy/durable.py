"""Files that stand under their names whole or not at all, also after a power cut. Errors are the system's own."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, onto the disk.

    Raises:
        OSError: the system refuses.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def give_name(draft: Path, path: Path) -> None:
    """Give a finished file its name, on the same disk; one that has it is replaced.

    Raises:
        OSError: the system refuses.
    """
    sync(draft)  # first: else a power cut could leave the name with nothing behind it
    os.replace(draft, path)
    with suppress(OSError):  # network file systems that cannot sync a folder; the name is given
        sync(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only this user may read; other processes may do the same at this moment.

    Raises:
        OSError: the system refuses; a file that was there is as it was, and nothing is left beside it.
    """
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        give_name(Path(draft), path)
    finally:
        Path(draft).unlink(missing_ok=True)
