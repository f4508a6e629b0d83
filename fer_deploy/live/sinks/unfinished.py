"""Files that are not whole yet: their names, and the way to their own one."""

import os
from pathlib import Path

from fer_deploy.durable import give_name
from fer_deploy.errors import SinkError


def unfinished_path(path: Path) -> Path:
    """Return `NAME.PID.part.SUFFIX` beside it: not hidden, since a run that was killed leaves it to be found."""
    return path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")


def require_no_folder(path: Path, *, fix: str) -> None:
    """Make sure that a file can take this name in the end.

    Args:
        path: of the file.
        fix: what to give instead, for the message, such as "another --csv".

    Raises:
        SinkError: a folder has it.
    """
    if path.is_dir():
        raise SinkError(f"cannot write {path}: Is a directory. Fix: {fix}")


def take_name(part: Path, path: Path) -> None:
    """Give a file that is whole its own name; an older one is replaced.

    Raises:
        SinkError: the system refuses; the file stays where it is.
    """
    try:
        give_name(part, path)
    except OSError as err:
        raise SinkError(f"cannot name {part} {path}: {err.strerror}. Fix: rename it by hand") from err
