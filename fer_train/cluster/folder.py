"""cluster_folder: a folder for the files of a local cluster, which is removed whatever happens."""

import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "fer-ray-"
_LOCK: Final = "lock"
_YOUNG_S: Final = 60.0
"""A folder that was created so recently gets its lock in a moment."""
_END_S: Final = 5.0
"""The longest wait for processes that were killed."""


@contextmanager
def cluster_folder() -> Iterator[Path]:
    """Yield a folder for the files of a local cluster; at the end it is removed, with the processes that write there.

    It is the home folder of Ray's own processes. Without the file that is written there, one of them would ask the
    network in which cloud it is, although the statistics are off. If a cluster does not start, Ray leaves its processes
    to the end of this program.
    """
    base = Path(tempfile.gettempdir())
    _remove_old(base)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    try:
        with (folder / "new").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "new").rename(folder / _LOCK)  # under this name it is locked from the first moment
            (folder / "ray_bootstrap_config.yaml").write_text("{}\n")
            yield folder
    finally:
        _remove(folder)


def _remove_old(base: Path) -> None:
    """Remove the folders of programs that have ended: the system has released their locks."""
    for folder in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if not (folder / _LOCK).exists():
                if time.time() - folder.stat().st_mtime > _YOUNG_S and not _processes_of(folder):
                    _remove(folder)
                continue
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)


def _remove(folder: Path) -> None:
    """End the processes of a folder and remove it, the lock last: what stays is found the next time."""
    end_s = time.monotonic() + _END_S
    while (processes := _processes_of(folder)) and time.monotonic() < end_s:
        for number in processes:
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.02)
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK:
                path.unlink()
        if [path.name for path in folder.iterdir()] in ([], [_LOCK]):
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _processes_of(folder: Path) -> list[int]:
    """Return the ids of processes that were started with the folder's name, or write there; none without /proc.

    The name is used once. Ray's agents give themselves titles, which may overwrite their command line and environment.
    """
    name, found = os.fsencode(folder.name), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            texts = ((process / text).read_bytes() for text in ("cmdline", "environ"))
            if any(name in text for text in texts) or _writes_to(name, process):
                found.append(int(process.name))
    return [number for number in found if number != os.getpid()]


def _writes_to(name: bytes, process: Path) -> bool:
    for file in (process / "fd").iterdir():
        with suppress(OSError):  # it is closed by now
            if file.lstat().st_mode & stat.S_IWUSR and name in os.fsencode(file.readlink()).split(b"/"):
                return True
    return False
