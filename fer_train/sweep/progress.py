"""Progress of a sweep on stderr: a line for each run that begins or ends, and what is left."""

import math
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from fer_train.sweep.jobs import Job
from fer_train.sweep.plan import Trial
from fer_train.sweep.time_left import EpochSeconds, estimate_time_left

STATUS_EVERY_S = 300.0
"""Seconds between two lines of what is left, where stderr is no terminal. A terminal shows it all the time."""
_TAIL_LINES = 5
_SECOND_S = 1.0


class SweepProgress:
    """Shows a sweep; a `Reporter` for `run_jobs` and a context."""

    def __init__(self, trials: Sequence[Trial], *, jobs: int, deadline: float) -> None:
        """Show nothing yet.

        Args:
            trials: the runs that this sweep can do, singles first.
            jobs: how many run at the same time.
            deadline: of `time.monotonic()`; infinite for none.
        """
        self._trials = {trial.label: trial for trial in trials}
        self._jobs, self._deadline = jobs, deadline
        self._epoch_seconds = EpochSeconds()
        self._console = Console(stderr=True)
        self._status = Status("", console=self._console) if self._console.is_terminal else None
        self._shown_at = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        """Print lines."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_begin(self, job: Job, command: str) -> None:
        """Print which run of how many this is, the command, and where its output goes."""
        labels, which = list(self._trials), job.name
        if job.name in labels:
            which = f"run {labels.index(job.name) + 1} of {len(labels)}, {job.name}: {command}"
        self.say(f"{which}; log: {job.log}")

    def on_end(self, job: Job, code: int) -> None:
        """Print what a run reached, or the last lines of the log of one that failed."""
        if code:
            tail = job.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
            self.say("\n".join([f"{job.name} ended with {code}:", *tail]))
        elif job.name in self._trials:
            measured = self._trials[job.name].spec()["metrics"]["PublicTest"]
            plain, flip = (measured[view]["accuracy"] for view in ("plain", "flip"))
            self.say(f"{job.name}: PublicTest {plain:.2%} plain, {flip:.2%} flip; {self._what_is_left()}")

    def on_stop(self, jobs: Sequence[Job]) -> None:
        """Print which jobs are stopped, and show no status until others run."""
        if self._status is not None:
            self._status.stop()
        self.say(f"stopping {', '.join(job.name for job in jobs)}")

    def on_poll(self, running: Sequence[tuple[Job, str]]) -> None:
        """Show what runs and what is left: on a terminal in its last line, else as a line every `STATUS_EVERY_S`."""
        now = time.monotonic()
        if self._shown_at == -math.inf and self._status is None:
            self._shown_at = now  # the runs that just began have been printed
        if now - self._shown_at < (STATUS_EVERY_S if self._status is None else _SECOND_S):
            return
        self._shown_at = now
        text = "; ".join([*(self._state_of(job, command) for job, command in running), self._what_is_left()])
        if self._status is None:
            self.say(text)
        else:
            self._status.update(Text(text))
            self._status.start()

    def _state_of(self, job: Job, command: str) -> str:
        trial = self._trials.get(job.name)
        if trial is None or command != "train":
            return f"{job.name}: {command}" if trial else job.name
        epoch = min(len(self._epoch_seconds(trial)) + 1, trial.config.num_epochs)
        return f"{job.name}: epoch {epoch} of {trial.config.num_epochs}"

    def _what_is_left(self) -> str:
        trials = list(self._trials.values())
        num_done = sum(trial.is_released for trial in trials)
        parts = [f"{num_done} of {len(trials)} runs done"]
        if num_done < len(trials):
            found = estimate_time_left(trials, self._epoch_seconds, jobs=self._jobs)
            if found is None:
                parts.append("training time left: unknown before the first epoch ends")
            else:
                about = "about" if found.is_complete else "at least"
                parts.append(f"training time left: {about} {in_words(found.seconds)}")
            if math.isfinite(self._deadline):
                parts.append(f"--minutes end in {in_words(max(0.0, self._deadline - time.monotonic()))}")
        return "; ".join(parts)


def in_words(seconds: float) -> str:
    """Return a duration as "50 s", "12 min", "3 h 20 min" or "10 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours == 0:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
