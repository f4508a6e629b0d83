"""Undo the real-time priority that an encoder gives to this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def priority_kept() -> Iterator[None]:
    """Give all threads the scheduling policy that they had before this block; new threads get that of this thread.

    SVT-AV1 makes the calling thread and its own ones SCHED_FIFO with priority 99 where it may, as in containers that
    run as root. They would then take the cores from everything else, and child processes inherit it.
    """
    if not hasattr(os, "sched_setscheduler"):  # macOS, Windows
        yield
        return
    before, usual = _policies(), os.sched_getscheduler(0)
    try:
        yield
    finally:
        for thread, policy in _policies().items():
            wanted = before.get(thread, usual)
            if policy != wanted and wanted == os.SCHED_OTHER:
                with suppress(OSError):  # it has ended
                    os.sched_setscheduler(thread, wanted, os.sched_param(0))


def _policies() -> dict[int, int]:
    """Return the policy of each thread by its number."""
    policies = {}
    with suppress(OSError):
        for path in _THREADS.iterdir():
            with suppress(OSError):
                policies[int(path.name)] = os.sched_getscheduler(int(path.name))
    return policies
