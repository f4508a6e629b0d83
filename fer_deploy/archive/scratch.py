"""scratch_folder: a folder on the local disk for copies and unfinished files; those of killed processes are removed."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from fer_deploy.errors import SinkError

_PREFIX: Final = "fer-archive-"
_LOCK: Final = "lock"


@contextmanager
def scratch_folder(where: Path | None) -> Iterator[Path]:
    """Yield a new folder, which is removed at the end.

    Args:
        where: folder to create it in; None: the system's for temporary files.

    Raises:
        SinkError: it cannot be created.
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
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_old(base: Path) -> None:
    """Remove the folders whose processes have ended: the system has released their locks."""
    for folder in base.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
