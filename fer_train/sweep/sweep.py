"""The sweep: train every run of a plan, make the ensemble of the best, train students of the ensemble.

Each run is fer-train in processes of its own. A stage whose output exists is not done again, so the same command
continues a sweep that was stopped. The ensemble is made once, of the singles that are released by then. Students come
before the singles that are left.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fer_train.errors import ConfigError
from fer_train.sweep.jobs import HERE, Job, Place, Reporter, run_jobs
from fer_train.sweep.plan import Plan, Trial, write_trials


@dataclass(frozen=True)
class Files:
    """The data that the runs read: values of the flags of fer-train train."""

    data: str
    twin_rows: str | None = None
    ferplus: str | None = None

    @property
    def faces(self) -> tuple[str, ...]:
        """The flags of the faces, without those of the votes."""
        return ("--data", self.data, *(("--twin-rows", self.twin_rows) if self.twin_rows else ()))

    @property
    def votes(self) -> tuple[str, ...]:
        """The flag of the votes, where there are any."""
        return ("--ferplus", self.ferplus) if self.ferplus else ()


class Sweep:
    """A plan and its progress, which is read from the files in `out`."""

    def __init__(self, plan: Plan, out: Path, files: Files, *, minutes: float, place: Place = HERE) -> None:
        """Write the configs of all runs. The time limit starts now.

        Args:
            plan: what to do.
            out: folder of the sweep.
            files: the data.
            minutes: time limit; infinite for none.
            place: where the runs are computed.

        Raises:
            ConfigError: a run that fer-train would refuse, one whose settings changed, or singles of a plan with an
                ensemble that it cannot have as members.
            CheckpointError: `out` cannot be written.
        """
        self.ensemble = out / "ensemble.json"
        self.singles = write_trials(plan.singles, out)
        self.students = write_trials(plan.students, out, teacher=self.ensemble)
        if plan.ensemble:
            _check_labels(self.singles)
        self._plan, self._out, self._files, self._place = plan, out, files, place
        now, share = time.monotonic(), plan.ensemble.after_share if plan.ensemble else None
        self.deadline = now + 60 * minutes
        self._ensemble_due = math.inf if share is None else now + 60 * minutes * share

    def work(self, reporter: Reporter) -> list[Job]:
        """Do what is left of the plan until the deadline; return the jobs that failed."""
        failed: list[Job] = []
        if self._plan.ensemble and not self.has_ensemble():
            failed += self._run(self.singles, reporter, self._is_ensemble_due)
            failed += self._make_ensemble(self._plan.ensemble.size, reporter)
        students = self.students if self.has_ensemble() else []
        tried = {job.name for job in failed}
        left = [trial for trial in (*students, *self.singles) if trial.label not in tried]
        return failed + self._run(left, reporter, self._is_over)

    def within_reach(self) -> list[Trial]:
        """Return the runs that are done or can be done with these files, singles first."""
        students = [] if self._ensemble_lacks() else self.students
        return [trial for trial in (*self.singles, *students) if not self._lacks_votes(trial)]

    def left_out(self) -> dict[str, str]:
        """Return what of the plan is not done, by name, and what it lacks; "" where only time is lacking."""
        lacks = self._ensemble_lacks()
        ensemble = {"the ensemble": lacks} if self._plan.ensemble and not self.has_ensemble() else {}
        return self._unfinished(self.singles) | ensemble | self._unfinished(self.students, lacks and "the ensemble")

    def has_ensemble(self) -> bool:
        """Return whether the plan's ensemble is made; an older plan's in the same folder does not count."""
        return self._plan.ensemble is not None and self.ensemble.exists()

    def released(self) -> list[Trial]:
        """Return the finished runs, singles first."""
        return _released([*self.singles, *self.students])

    def _is_over(self) -> bool:
        return time.monotonic() >= self.deadline

    def _is_ensemble_due(self) -> bool:
        return self._is_over() or (time.monotonic() >= self._ensemble_due and len(_released(self.singles)) >= 2)

    def _run(self, trials: list[Trial], reporter: Reporter, is_over: Callable[[], bool]) -> list[Job]:
        jobs = [self._job(t) for t in trials if not t.is_released and not self._lacks_votes(t)]
        return run_jobs(jobs, reporter, at_once=self._plan.jobs, is_over=is_over, place=self._place)

    def _lacks_votes(self, trial: Trial) -> bool:
        if trial.is_released or self._files.ferplus is not None:
            return False
        return trial.learns_ferplus or (trial.needs_votes and not trial.is_trained)

    def _ensemble_lacks(self) -> str:
        if self.has_ensemble():
            return ""
        if self.singles and self.singles[0].learns_ferplus and self._files.ferplus is None:
            return "--ferplus"
        return "" if len([t for t in self.singles if not self._lacks_votes(t)]) >= 2 else "two singles"

    def _job(self, trial: Trial) -> Job:
        # A run resumes only with the data of its beginning, so it gets the votes only where it learns from them.
        votes = self._files.votes if trial.needs_votes else ()
        resume = ("--resume",) if (trial.out / "last.pt").exists() else ()
        train = ("train", "--config", str(trial.config_file), *self._files.faces, *votes, "--out", str(trial.out))
        release = ("release", "--checkpoint", str(trial.out / "final.safetensors"), *self._files.faces)
        release += self._files.votes if trial.learns_ferplus else ()
        release += ("--recalibrate",) if trial.recalibrates else ()
        release += ("--out", str(trial.release))
        commands = (release,) if trial.is_trained else ((*train, *resume), release)
        return Job(trial.label, commands, trial.out / "log.txt")

    def _make_ensemble(self, size: int, reporter: Reporter) -> list[Job]:
        """Choose the `size` best singles by PublicTest, flip, and their weights; return the job if it failed."""
        released = _released(self.singles)
        if len(released) < 2 or self._ensemble_lacks():
            return []
        best = sorted(released, key=_accuracy, reverse=True)[:size]
        members = [word for trial in best for word in ("--checkpoint", str(trial.release))]
        votes = self._files.votes if best[0].learns_ferplus else ()
        words = ("ensemble", *members, "--data", self._files.data, *votes, "--flip", "--out", str(self.ensemble))
        job = Job("the ensemble", (words,), self._out / "ensemble.log")
        return run_jobs([job], reporter, at_once=1, is_over=self._is_over, place=self._place)

    def _unfinished(self, trials: list[Trial], lacks: str = "") -> dict[str, str]:
        return {t.label: "--ferplus" if self._lacks_votes(t) else lacks for t in trials if not t.is_released}


def _released(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.is_released]


def _accuracy(trial: Trial) -> float:
    return float(trial.spec()["metrics"]["PublicTest"]["flip"]["accuracy"])


def _check_labels(singles: list[Trial]) -> None:
    """Refuse singles of different labels: their accuracies cannot be compared, nor their answers averaged.

    Raises:
        ConfigError: as said.
    """
    first = {(trial.config.labels, trial.config.num_classes): trial.label for trial in reversed(singles)}
    if len(first) > 1:
        seen = ", ".join(f"{label} has labels: {labels} of {num} classes" for (labels, num), label in first.items())
        raise ConfigError(
            f"the singles of a plan must have the same labels, for one ensemble is made of them: {seen}. "
            "Fix: a plan for each kind of labels, or a plan without `ensemble`"
        )
