"""Process-wide settings while a loop runs, so that its threads share the cores well."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

SWITCH_S = 0.0005
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
