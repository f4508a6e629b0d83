"""Files that are whole or not there at all, also after a kill, a full disk or a power cut.

The one way of this package to write a file: into a draft on the same disk, then `give_name`. An older file is replaced
in that one step or stays as it is. Errors are the system's own; callers put them into words.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def sync_names(folder: Path) -> None:
    """Bring the names in a folder onto the disk, where its file system can; network file systems often cannot."""
    with suppress(OSError):
        sync(folder)


def give_name(draft: Path, path: Path) -> None:
    """Give a finished file its name, on the same disk; one that has it is replaced.

    Raises:
        OSError: the system refuses.
    """
    sync(draft)  # first: else a power cut could leave the name with nothing behind it
    os.replace(draft, path)
    sync_names(path.parent)


def unfinished_path(path: Path) -> Path:
    """Return `NAME.PID.part.SUFFIX` beside it: not hidden, so that what a killed run leaves can be found."""
    return path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there takes its name if the block raises nothing.

    Raises:
        OSError: the system refuses. Whatever the block raises, an older file is as it was, and no draft is left.
    """
    draft = unfinished_path(path)
    try:
        yield draft
        give_name(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in place of an older one.

    Raises:
        OSError: as `whole_file`.
    """
    with whole_file(path) as draft:
        draft.write_bytes(content)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only this user may read; threads and other processes may do the same at this moment.

    Raises:
        OSError: as `whole_file`.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.", suffix=f".part{path.suffix}")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        give_name(draft, path)
    finally:
        draft.unlink(missing_ok=True)
