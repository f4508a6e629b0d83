"""scratch_folder: a folder on the local disk for copies and unfinished files; those of killed processes are removed."""

import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from fer_deploy.errors import FerDeployError, SinkError
from fer_deploy.files.system_faults import is_full_disk

_PREFIX: Final = "fer-archive-"
_LOCK: Final = "lock"


class ScratchFull(SinkError):
    """The disk for copies is full, or cannot be written; that is no failure of a video."""


@contextmanager
def scratch_folder(where: Path | None) -> Iterator[Path]:
    """Yield a new folder, which is removed at the end.

    Args:
        where: folder to create it in; None: the system's for temporary files.

    Raises:
        SinkError: it cannot be created.
        ScratchFull: in place of any error of the block that names the folder, which is not there any more, or that
            a disk is full.
    """
    base = Path(tempfile.gettempdir()) if where is None else where
    try:
        base.mkdir(parents=True, exist_ok=True)
        _remove_old(base)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    except OSError as err:
        raise SinkError(f"cannot create a folder in {base}: {err.strerror}. Fix: another --scratch") from err
    try:
        with (folder / f"{_LOCK}.new").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / f"{_LOCK}.new").rename(folder / _LOCK)  # under this name it is locked from the first moment
            try:
                yield folder
            except (FerDeployError, OSError) as err:
                if (fault := fault_of_scratch(err, folder)) is None:
                    raise
                raise fault from err
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fault_of_scratch(err: Exception, folder: Path) -> ScratchFull | None:
    """Return an error of writing into a scratch folder with the name of its parent; None if it is another error.

    Args:
        err: of this package, or of the system.
        folder: of `scratch_folder`, which is removed before the user reads the message.
    """
    is_of_system = isinstance(err, OSError)
    text = str(err.filename) if isinstance(err, OSError) else str(err)
    if str(folder) not in text and not (isinstance(err, OSError) and is_full_disk(err)):
        return None
    if isinstance(err, ScratchFull):
        return ScratchFull(re.sub(re.escape(str(folder)) + r"[^\s:]*", str(folder.parent), text))
    if not (is_of_system or isinstance(err, SinkError)):
        return None
    cause = err if is_of_system else err.__cause__
    why = cause.strerror if isinstance(cause, OSError) else ""  # the cause does not come from another process
    why = why or text.partition(". ")[0].rpartition(": ")[2]
    return ScratchFull(
        f"cannot write to the folder for copies in {folder.parent}: {why}. Fix: free some space there, check its "
        "rights, or another --scratch, then give the same command again"
    )


def _remove_old(base: Path) -> None:
    """Remove the folders whose processes have ended: the system has released their locks."""
    for folder in base.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def fix_of_full_disk(err: OSError) -> str:
    """Return what to do if a copy on this machine found no space; empty after another error."""
    return "free some space, or another --scratch, then give the same command again" if is_full_disk(err) else ""
