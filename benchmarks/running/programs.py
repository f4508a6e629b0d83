"""Programs that end with the program that runs them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from harness.clips import ROOT

STOP_LIMIT_S = 30.0
"""After this time a benchmark that was asked to stop is killed."""


class Stopped(BaseException):
    """Ctrl-C or another signal that ends the run; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_program(words: Sequence[str | Path], *, quiet: bool = False) -> int:
    """Run Python with these words and return its exit code.

    It has a process group of its own. A signal that ends the suite is passed to the whole group as Ctrl-C, and waited
    for, so that no server and no worker of a benchmark outlives it.
    """
    started = subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,  # a group in the background that reads the terminal is stopped
        stdout=subprocess.DEVNULL if quiet else None,
        process_group=0,
    )
    try:
        return started.wait()
    except BaseException:
        _end(started)
        raise


def _end(program: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(program.pid, number)
        with suppress(subprocess.TimeoutExpired):
            program.wait(STOP_LIMIT_S)
            return


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise `Stopped` at the first Ctrl-C, SIGTERM or SIGHUP; further ones change nothing."""

    def stop(number: int, frame: FrameType | None) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise Stopped(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
