"""Jobs of a sweep: commands of fer-train in processes of their own, several jobs at the same time. Knows no plan."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FER_TRAIN = (sys.executable, "-m", "fer_train")
POLL_S = 0.5
STOP_S = 60
"""Seconds that a process has to end after SIGTERM."""


@dataclass(frozen=True)
class Job:
    """Commands that run one after the other.

    Attributes:
        name: in messages.
        commands: words of fer-train; the first command that fails ends the job.
        log: output of the commands is appended to this file.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    log: Path


class Reporter(Protocol):
    """Receives what happens to the jobs."""

    def on_begin(self, job: Job, command: str) -> None:
        """A command of the job has started."""

    def on_end(self, job: Job, code: int) -> None:
        """The job has ended: 0 after its last command, else the exit code of the command that failed."""

    def on_poll(self, running: Sequence[tuple[Job, str]]) -> None:
        """Called twice a second with each running job and its command."""

    def on_stop(self, jobs: Sequence[Job]) -> None:
        """These jobs are stopped before their end."""


class _Slot:
    """A job that has begun: one process at a time."""

    def __init__(self, job: Job, reporter: Reporter) -> None:
        self.job = job
        self._reporter = reporter
        self._left = list(job.commands)
        self._begin_next()

    def _begin_next(self) -> None:
        words = self._left.pop(0)
        self.command = words[0]
        with self.job.log.open("ab") as log:
            self.process = subprocess.Popen([*FER_TRAIN, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._reporter.on_begin(self.job, self.command)

    def exit_code(self) -> int | None:
        """Return the exit code of a job that has ended, else None; start the next command after one that succeeded."""
        code = self.process.poll()
        if code == 0 and self._left:
            self._begin_next()
            return None
        return code


def run_jobs(jobs: Sequence[Job], reporter: Reporter, *, at_once: int, is_over: Callable[[], bool]) -> list[Job]:
    """Run the jobs, `at_once` at the same time, until all have ended or `is_over()`; return those that failed.

    No process is left running, also after an exception.
    """
    waiting, failed = list(jobs), []
    running: list[_Slot] = []
    try:
        while (waiting or running) and not is_over():
            while waiting and len(running) < at_once:
                running.append(_Slot(waiting.pop(0), reporter))
            reporter.on_poll([(slot.job, slot.command) for slot in running])
            time.sleep(POLL_S)
            ended = [(slot, code) for slot in running if (code := slot.exit_code()) is not None]
            for slot, code in ended:
                running.remove(slot)
                reporter.on_end(slot.job, code)
                if code:
                    failed.append(slot.job)
    finally:
        if running:
            reporter.on_stop([slot.job for slot in running])
            _stop([slot.process for slot in running])
    return failed


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes: SIGTERM to all, then SIGKILL after `STOP_S`. Files of fer-train are complete either way."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
