"""Limit the CPU memory of networks. A small file can request any amount; Linux grants it until it kills the process.

ONNX Runtime limits an arena, not a session, so all CPU sessions of the process share one limited arena.
"""

from functools import cache
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

SHARE = 0.5
"""Share of the memory that this process may use. A batch of 64 faces takes a few hundred MB."""
_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@cache
def bound_memory() -> int | None:
    """Limit the arena that sessions with `session.use_env_allocators` share; once for the process.

    Returns:
        The limit in bytes; None if the system's memory is unknown, or the program that uses this package has registered
        its own arena.
    """
    available = available_bytes()
    if available is None:
        return None
    bound = int(available * SHARE)
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    try:
        ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": bound}))
    except (ort_errors.Fail, ort_errors.InvalidArgument, RuntimeError):  # registered already
        return None
    return bound


def available_bytes(meminfo: Path = _MEMINFO, cgroup_limit: Path = _CGROUP_LIMIT) -> int | None:
    """Return the machine's memory, or the container's limit (cgroup v2) if it is lower; None: unknown."""
    found = [size for size in (_total(meminfo), _limit(cgroup_limit)) if size is not None]
    return min(found, default=None)


def _total(meminfo: Path) -> int | None:
    try:
        words = meminfo.read_text().split()
        return int(words[words.index("MemTotal:") + 1]) * 1024
    except (OSError, ValueError, IndexError):
        return None


def _limit(cgroup_limit: Path) -> int | None:
    try:
        return int(cgroup_limit.read_text())
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return None
