"""Write files of an analysis atomically; error messages name --out."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_deploy.errors import SinkError
from fer_deploy.files import durable


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically; see `durable.write_whole`.

    Raises:
        SinkError: it cannot be written; an older file is unchanged.
    """
    with writing(path):
        durable.write_whole(path, content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; see `durable.whole_file`.

    Raises:
        SinkError: it cannot be written; an older file is unchanged.
    """
    with writing(path), durable.whole_file(path) as unfinished:
        yield unfinished


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an OSError of writing `path` into a SinkError."""
    try:
        yield
    except OSError as err:
        full = err.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "free some space" if full else "check the folder's permissions"
        raise SinkError(
            f"cannot write {path}: {'the disk is full' if full else err.strerror or err}. Fix: {fix}, or another --out"
        ) from err
