"""Unfinished files of sinks: check what they may replace, and rename them when complete."""

import os
from pathlib import Path

from fer_deploy.errors import SinkError
from fer_deploy.files.durable import give_name, unfinished_path

__all__ = ["KeptBeside", "replaceable", "take_name", "unfinished_path"]


class KeptBeside(SinkError):
    """An incomplete file keeps its temporary name, so that an older file stays. It follows another failure."""

    def __init__(self, older: Path, part: Path, what: str) -> None:
        """Create the error; `what` is the content of the file, such as "rows"."""
        super().__init__(
            f"{older} is unchanged; {part} has the {what} up to the failure. "
            "Fix: see what failed, and run again; or rename the file by hand"
        )


def replaceable(path: Path, *, fix: str) -> Path:
    """Return the final path of a file; for a symbolic link it is the path of its target.

    Args:
        path: of the file.
        fix: end of the message, such as "another --csv".

    Raises:
        SinkError: it is a folder, a device or a pipe, which would be lost.
    """
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise SinkError(f"cannot write {path}: Is a directory. Fix: {fix}")
    if real.exists() and not real.is_file():
        raise SinkError(f"cannot write {path}: it is a device or a pipe, expected a file or nothing. Fix: {fix}")
    return real if path.is_symlink() else path


def take_name(part: Path, path: Path) -> None:
    """Rename a complete file to its final name; an older one is replaced.

    Raises:
        SinkError: it cannot be renamed; the file keeps its temporary name.
    """
    try:
        give_name(part, path)
    except OSError as err:
        raise SinkError(f"cannot rename {part} to {path}: {err.strerror}. Fix: rename it by hand") from err
