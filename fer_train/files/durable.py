"""Write a file completely or not at all: a temporary file beside it, flushed to disk, then renamed."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from fer_train.errors import CheckpointError

_FREE_SPACE = "Fix: free space there, then the same command (with --resume where it trains); or --out on another disk"


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
    """Check that `num_bytes` more fit into a folder that exists, before hours of work.

    Raises:
        CheckpointError: they do not.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise CheckpointError(
            f"{folder}: the run needs about {num_bytes / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free. {_FREE_SPACE}"
        )


def _fix(err: Exception) -> str:
    """Return the Fix for a failed write; torch and safetensors report a full disk with their own exceptions."""
    if isinstance(err, OSError) and err.errno not in (errno.ENOSPC, errno.EDQUOT):
        return "Fix: choose another --out, one that can be written"
    return _FREE_SPACE


def write_content(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes atomically; raises as `write_atomically` does."""
    data = content.encode() if isinstance(content, str) else content
    write_atomically(path, lambda temporary: _write_bytes(temporary, data))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
