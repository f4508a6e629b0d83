"""Atomic file writes: a file is complete or absent, even after a kill, a full disk or a power cut.

All files of this package are written this way: write a draft on the same disk, then rename it with `give_name`. The
rename replaces an older file in one step; on failure the older file stays. Errors are OSErrors; callers explain them.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk.

    Raises:
        OSError: the flush failed.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_names(folder: Path) -> None:
    """Flush the names in a folder to the disk where the file system supports it; many network file systems do not."""
    with suppress(OSError):
        sync(folder)


def give_name(draft: Path, path: Path) -> None:
    """Rename a finished draft to `path` on the same disk; an existing file is replaced.

    Raises:
        OSError: the flush or the rename failed.
    """
    sync(draft)  # first: otherwise a power cut could leave an empty file under the final name
    os.replace(draft, path)
    sync_names(path.parent)


def unfinished_path(path: Path) -> Path:
    """Return `NAME.PID.part.SUFFIX` beside `path`. It is not hidden, so users can find what a killed run left."""
    return path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` when the block succeeds.

    If the block raises, the temporary file is deleted and an older file stays unchanged.

    Raises:
        OSError: the flush or the rename failed.
    """
    draft = unfinished_path(path)
    try:
        yield draft
        give_name(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically; an older file is replaced.

    Raises:
        OSError: as `whole_file`.
    """
    with whole_file(path) as draft:
        draft.write_bytes(content)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only this user may read. Several threads and processes may write it at the same time.

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
