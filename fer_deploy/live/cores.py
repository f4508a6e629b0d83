"""What belongs to the whole process and is set while a loop runs, so that its threads share the cores well."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

SWITCH_S = 0.0005


@contextmanager
def shared_cores(opencv_threads: int) -> Iterator[None]:
    """Size OpenCV's threads and shorten the interpreter's switches; both are as before afterwards.

    OpenCV uses so many threads a call: the workers keep the cores busy. And a thread that comes back from the engine
    waits for the interpreter at most `SWITCH_S` instead of 5 ms: a tenth more frames per second on two cores.
    """
    before = cv2.getNumThreads(), sys.getswitchinterval()
    cv2.setNumThreads(opencv_threads)
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        sys.setswitchinterval(before[1])
