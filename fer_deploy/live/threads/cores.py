"""Share the cores: process-wide settings while a loop runs, and a function that runs on all cores."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Final, TypeVar

import cv2

from fer_deploy.engines.threads import available_cores

SWITCH_S = 0.0005
_AHEAD: Final = 4
"""Items of an iterable that are read ahead for each core."""
_A = TypeVar("_A")
_B = TypeVar("_B")
_lock = threading.Lock()
_num_loops = 0
_before = (0, 0.0)


@contextmanager
def shared_cores(opencv_threads: int) -> Iterator[None]:
    """Set OpenCV's threads a call and shorten the interpreter's switch interval; the last loop's end restores both.

    The workers already keep the cores busy, so OpenCV needs few threads. A thread that returns from the engine waits
    for the interpreter at most `SWITCH_S` instead of 5 ms: a tenth more frames per second on two cores.
    """
    global _num_loops, _before  # noqa: PLW0603 - these settings are process-wide
    with _lock:
        if _num_loops == 0:
            _before = cv2.getNumThreads(), sys.getswitchinterval()
        _num_loops += 1
        cv2.setNumThreads(opencv_threads)
        sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        with _lock:
            _num_loops -= 1
            if _num_loops == 0:
                cv2.setNumThreads(_before[0])
                sys.setswitchinterval(_before[1])


def in_parallel(function: Callable[[_A], _B], items: Iterable[_A]) -> list[_B]:
    """Apply `function` to each item on all cores and return the results in order; `items` is read only as needed."""
    iterator, num_threads, results = iter(items), available_cores(), list[_B]()
    with shared_cores(1), ThreadPoolExecutor(num_threads, thread_name_prefix="fer-recognizer") as pool:
        while group := list(islice(iterator, _AHEAD * num_threads)):
            results.extend(pool.map(function, group))
    return results
