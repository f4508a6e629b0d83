"""Jobs of a sweep: commands of fer-train, some jobs at a time, each in a process of its own. Knows no plan."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

FER_TRAIN = (sys.executable, "-m", "fer_train")
POLL_S = 0.5
_TAIL_LINES = 5
_console = Console()


@dataclass(frozen=True)
class Job:
    """Commands that follow each other in one slot.

    Attributes:
        name: how people are told of it.
        commands: words of fer-train; one that fails ends the job.
        log: what they print is appended here.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    log: Path


class _Slot:
    """A job that was begun: one process at a time."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._left = list(job.commands)
        self.process = self._begin_next()

    def _begin_next(self) -> subprocess.Popen[bytes]:
        words = self._left.pop(0)
        _console.print(f"{self.job.name}: {words[0]}; log: {self.job.log}", markup=False, soft_wrap=True)
        with self.job.log.open("ab") as log:
            return subprocess.Popen([*FER_TRAIN, *words], stdout=log, stderr=log)

    def exit_code(self) -> int | None:
        """Return the exit code of a job that has ended, else None; the next command begins where one has succeeded."""
        code = self.process.poll()
        if code == 0 and self._left:
            self.process = self._begin_next()
            return None
        return code


def run_jobs(jobs: Sequence[Job], *, at_once: int, is_over: Callable[[], bool]) -> list[Job]:
    """Work through the jobs, `at_once` at a time, until `is_over()`; return those that failed.

    However it ends, no process of it goes on.
    """
    waiting, failed = list(jobs), []
    running: list[_Slot] = []
    try:
        while (waiting or running) and not is_over():
            while waiting and len(running) < at_once:
                running.append(_Slot(waiting.pop(0)))
            time.sleep(POLL_S)
            ended = [(slot, code) for slot in running if (code := slot.exit_code()) is not None]
            for slot, code in ended:
                running.remove(slot)
                if code:
                    _tell_failure(slot.job, code)
                    failed.append(slot.job)
    finally:
        _stop(running)
    return failed


def _tell_failure(job: Job, code: int) -> None:
    tail = job.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    _console.print("\n".join([f"{job.name} ended with {code}:", *tail]), markup=False, soft_wrap=True)


def _stop(running: list[_Slot]) -> None:
    """End the processes: asked to at first, killed after a minute. What fer-train wrote is whole either way."""
    if running:
        _console.print(f"stopping {', '.join(slot.job.name for slot in running)}", markup=False, soft_wrap=True)
    for slot in running:
        slot.process.terminate()
    for slot in running:
        try:
            slot.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            slot.process.kill()
            slot.process.wait()
