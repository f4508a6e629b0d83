"""Write a file completely or not at all: a temporary file beside it, flushed to disk, then renamed."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from fer_train.errors import CheckpointError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary)` and rename the result to `path`; on any failure `path` keeps its old content.

    Raises:
        CheckpointError: the disk is full or the folder is not writable.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError, RuntimeError) as err:  # torch.save reports a full disk as RuntimeError
        raise CheckpointError(f"cannot write {path}: {err}. What was there before is untouched. {_fix(err)}") from err
    finally:
        with contextlib.suppress(OSError):  # the folder itself may be the cause
            temporary.unlink()


def require_space(folder: Path, num_bytes: int) -> None:
    """Check that `num_bytes` more fit on the disk of a folder, before hours of work.

    Quotas are not seen. What is no folder, or cannot be asked, passes: the first write says what is wrong with it.

    Raises:
        CheckpointError: they do not fit.
    """
    if not folder.is_dir():
        return
    usage = shutil.disk_usage(folder)
    if usage.total and usage.free < num_bytes:  # some network file systems say 0 of 0
        raise CheckpointError(
            f"{folder}: the run needs about {num_bytes / 1e6:,.0f} MB, and {usage.free / 1e6:,.0f} MB are free. "
            "Fix: free space there, then the same command; or --out on another disk, after copying the folder of a run "
            "that has begun"
        )


def _fix(err: Exception) -> str:
    """Return the Fix for a failed write; torch and safetensors report a full disk with their own exceptions."""
    if isinstance(err, OSError) and err.errno not in (errno.ENOSPC, errno.EDQUOT):
        return "Fix: choose another --out, one that can be written"
    return "Fix: free space there, then the same command (with --resume where it trains); or --out on another disk"


def write_content(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes atomically; raises as `write_atomically` does."""
    data = content.encode() if isinstance(content, str) else content
    write_atomically(path, lambda temporary: _write_bytes(temporary, data))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
