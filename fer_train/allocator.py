"""Keep freed memory in the process, where the C library is glibc.

By default glibc gives large blocks back to the kernel as soon as they are free. A training step frees all its tensors
and asks for the same ones again in the next step, and each time the kernel has to find and clear the pages.
"""

import ctypes
import os

_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2
"""Numbers of `mallopt`, from glibc's malloc.h."""
_NEVER = -1
_GROWTH = 256 * 1024**2
"""Bytes by which the heap grows at once."""


def keep_freed_memory() -> bool:
    """Let freed memory be used again rather than be given back; return whether that was set.

    The process keeps the most memory that it ever needed. Nothing is set on another C library, or where the
    user has settings of their own: a variable MALLOC_..., or GLIBC_TUNABLES with glibc.malloc.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, _NEVER), mallopt(_TOP_PAD, _GROWTH)])
