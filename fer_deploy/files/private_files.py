"""Read files of this user's cache, and refuse files that another user could have written or changed."""

import os
import stat
from pathlib import Path
from typing import Final

_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def read_private(path: Path, *, max_bytes: int) -> bytes:
    """Return a file's bytes. The file is opened once, so the checked file is the one that is read.

    It must be a regular file, not a link, owned by this user or root. Neither the file nor its folder may be writable
    by others. Windows has no such modes; there only the kind and the size are checked.

    Raises:
        OSError: missing, unreadable, larger than `max_bytes`, or not private; the text gives the reason.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path} is not a regular file")
        _require_private(path, found)
        _require_private(path.parent, os.stat(path.parent))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(f"{path} is larger than {max_bytes:,} bytes")
    return content


def _require_private(path: Path, found: os.stat_result) -> None:
    if not hasattr(os, "geteuid"):
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise PermissionError(f"{path} belongs to user {found.st_uid}, expected {os.geteuid()}")
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise PermissionError(
            f"{path} can be written by others (mode {stat.S_IMODE(found.st_mode):o}). Fix: chmod go-w {path}"
        )
