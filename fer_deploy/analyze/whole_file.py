"""Files that appear whole or not at all, and survive a power cut."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_deploy.durable import give_name
from fer_deploy.errors import SinkError
from fer_deploy.live.sinks.unfinished import unfinished_path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in place of an older one."""
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there takes its name when the block ends well.

    Raises:
        SinkError: it cannot be written; an older file is as it was.
    """
    unfinished = unfinished_path(path)
    with writing(path):
        try:
            yield unfinished
            give_name(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write `path` into a SinkError."""
    try:
        yield
    except OSError as err:
        full = err.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "free some space" if full else "check the folder's permissions"
        raise SinkError(
            f"cannot write {path}: {'the disk is full' if full else err.strerror or err}. Fix: {fix}, or another --out"
        ) from err
