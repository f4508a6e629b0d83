"""Files of sinks that are not whole yet: what they may replace, and how they get their name."""

import os
from pathlib import Path

from fer_deploy.durable import give_name, unfinished_path
from fer_deploy.errors import SinkError

__all__ = ["KeptBeside", "replaceable", "take_name", "unfinished_path"]


class KeptBeside(SinkError):
    """An incomplete file keeps its temporary name, so that an older one stays. It follows from another failure."""

    def __init__(self, older: Path, part: Path, what: str) -> None:
        """Say where both are; `what` is what the file holds, such as "rows"."""
        super().__init__(
            f"{older} is as it was; {part} holds the {what} up to the failure. "
            "Fix: see what failed, and run again; or rename the file by hand"
        )


def replaceable(path: Path, *, fix: str) -> Path:
    """Return the name that a file can take in the end; behind a symbolic link it is that of the file it leads to.

    Args:
        path: of the file.
        fix: what to give instead, for the message, such as "another --csv".

    Raises:
        SinkError: a folder, a device or a pipe has it: it would be lost.
    """
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise SinkError(f"cannot write {path}: Is a directory. Fix: {fix}")
    if real.exists() and not real.is_file():
        raise SinkError(f"cannot write {path}: it is a device or a pipe, expected a file or nothing. Fix: {fix}")
    return real if path.is_symlink() else path


def take_name(part: Path, path: Path) -> None:
    """Give a file that is whole its own name; an older one is replaced.

    Raises:
        SinkError: the system refuses; the file stays where it is.
    """
    try:
        give_name(part, path)
    except OSError as err:
        raise SinkError(f"cannot name {part} {path}: {err.strerror}. Fix: rename it by hand") from err
