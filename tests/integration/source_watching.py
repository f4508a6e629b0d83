"""Waiting for what a source does, with a limit that only a failure reaches."""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from integration.camera_server import CameraServer

from fer_deploy.live.sources import Source, SourceConfig, open_source
from fer_deploy.vision.types import Frame

GUARD_S = 60.0
QUICK = {"connect_s": 20.0, "stall_s": 0.7, "frozen_s": 0.7}
"""Small times for the faults that a test makes; opening takes long on a busy machine."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds."""
    deadline_s = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        threading.Event().wait(0.01)


def good_again_when(camera: CameraServer, condition: Callable[[], bool]) -> threading.Thread:
    """Mend a camera as soon as a condition holds, in a thread that the caller joins."""

    def mend() -> None:
        wait_until(condition)
        camera.mode = "good"

    thread = threading.Thread(target=mend)
    thread.start()
    return thread


class Watched:
    """A source under test, and its frames; a source that hangs is stopped after a while, and the test fails."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seen: list[Frame] = []
        self._frames = source.frames()
        self._guard = threading.Timer(GUARD_S, source.stop)
        self._guard.start()

    def until(self, condition: Callable[[Frame], bool]) -> Frame:
        """Take frames until one meets a condition."""
        for frame in self._frames:
            self.seen = [*self.seen[-200:], frame]
            if condition(frame):
                return frame
        raise AssertionError(f"the frames ended; {self.source.health}")

    def rest(self) -> list[Frame]:
        """Take frames to the end."""
        return list(self._frames)

    def close(self) -> None:
        """Release everything."""
        self._guard.cancel()
        self.source.close()
        self._guard.join()


@contextlib.contextmanager
def watched(text: str, **config: object) -> Iterator[Watched]:
    """Open a source with `QUICK` times, overlaid by `config`."""
    opened = Watched(open_source(text, SourceConfig(**{**QUICK, **config})))
    try:
        yield opened
    finally:
        opened.close()


def children(parent: int | None = None) -> set[int]:
    """Return the processes that a process has started and that still exist."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == (parent or os.getpid()):
                found.add(int(stat.parent.name))
    return found


def wait_for_exit(pid: int) -> None:
    """Wait until a process that need not be our child is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], GUARD_S)[0], f"process {pid} is still there"
    finally:
        os.close(handle)
