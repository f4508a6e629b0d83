"""Choose the number of threads of a session: one for each physical core that this process may use.

A convolution keeps a core's vector units busy, so a second hyper-thread gains nothing and costs cache.
By default each of several engines in one process gets this number. This is right if they take turns, like the engines
of one live loop. Engines that run at the same time must share the cores: give each `threads` = cores / engines.
"""

import os
from pathlib import Path

from fer_deploy.errors import ConfigError

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def available_cores(topology: Path = _TOPOLOGY, cpu_limit: Path = _CPU_LIMIT) -> int:
    """Return how many physical cores this process may use, at least 1.

    Counts the cores of the CPUs in `os.sched_getaffinity`, up to a container's CPU limit (cgroup v2). If the system
    does not report which CPUs share a core, every CPU counts as one.
    """
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return os.cpu_count() or 1
    cores = {_siblings(topology, cpu) for cpu in os.sched_getaffinity(0)}
    return max(1, min(len(cores), _limit(cpu_limit) or len(cores)))


def choose_threads(threads: int | None) -> int:
    """Return `threads`, or `available_cores` for None.

    Raises:
        ConfigError: not a whole number, below 1, or more threads than cores, which would wait for each other.
    """
    cores = available_cores()
    if threads is None:
        return cores
    if not isinstance(threads, int) or isinstance(threads, bool):
        raise ConfigError(f"threads is {threads!r}, expected a whole number. Fix: threads=1, or None for {cores}")
    if not 1 <= threads <= cores:
        raise ConfigError(
            f"{threads} threads were requested; this process may use {cores} physical core{'s'[: cores > 1]}. "
            f"Fix: threads from 1 to {cores}, or none for {cores}"
        )
    return threads


def _siblings(topology: Path, cpu: int) -> str:
    try:
        return (topology / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _limit(cpu_limit: Path) -> int | None:
    """Return the whole cores of the limit in `cpu.max` ("quota period" in microseconds, or "max period")."""
    try:
        quota, period = cpu_limit.read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no cgroup v2, or no limit
        return None
