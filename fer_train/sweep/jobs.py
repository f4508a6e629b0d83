"""Jobs of a sweep: commands of fer-train in processes of their own, several jobs at the same time. Knows no plan.

The processes run on this machine, or where a `Place` starts them.
"""

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


class Process(Protocol):
    """A command that runs; the part of `subprocess.Popen` that `run_jobs` uses."""

    def poll(self) -> int | None:
        """Return its exit code; None as long as it runs."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired."""


class Place(Protocol):
    """Where the commands run."""

    def start(self, words: Sequence[str], log: Path) -> Process:
        """Start a command of fer-train whose output is appended to a file."""

    def num_at_once(self, planned: int) -> int:
        """Return how many jobs run at the same time, at least 1; `planned` is the number in the plan."""


class _Here:
    """This machine."""

    def start(self, words: Sequence[str], log: Path) -> Process:
        with log.open("ab") as file:
            return subprocess.Popen([*FER_TRAIN, *words], stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def num_at_once(self, planned: int) -> int:
        return planned


HERE: Place = _Here()


class _Slot:
    """A job that has begun: one process at a time."""

    def __init__(self, job: Job, reporter: Reporter, place: Place) -> None:
        self.job = job
        self._reporter, self._place = reporter, place
        self._left = list(job.commands)
        self._begin_next()

    def _begin_next(self) -> None:
        words = self._left.pop(0)
        self.command = words[0]
        self.process = self._place.start(words, self.job.log)
        self._reporter.on_begin(self.job, self.command)

    def exit_code(self) -> int | None:
        """Return the exit code of a job that has ended, else None; start the next command after one that succeeded."""
        code = self.process.poll()
        if code == 0 and self._left:
            self._begin_next()
            return None
        return code


def run_jobs(
    jobs: Sequence[Job], reporter: Reporter, *, at_once: int, is_over: Callable[[], bool], place: Place = HERE
) -> list[Job]:
    """Run the jobs, `at_once` at the same time, until all have ended or `is_over()`; return those that failed.

    No process is left running, also after an exception. A place may have another opinion of `at_once`.
    """
    waiting, failed = list(jobs), []
    running: list[_Slot] = []
    try:
        while (waiting or running) and not is_over():
            while waiting and len(running) < place.num_at_once(at_once):
                running.append(_Slot(waiting.pop(0), reporter, place))
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


def _stop(processes: Sequence[Process]) -> None:
    """End the processes: SIGTERM to all, then SIGKILL after `STOP_S`. Files of fer-train are complete either way."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
