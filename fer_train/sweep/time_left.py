"""An estimate of the training time that is left, from the seconds of the epochs that are finished."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fer_train.checkpoint import load_state
from fer_train.errors import CheckpointError
from fer_train.sweep.plan import Trial
from fer_train.training.progress import cost_of_epochs

REFRESH_S = 30.0
"""Seconds between two readings of one run's state: a reading costs some tenths of a second."""


@dataclass(frozen=True)
class TimeLeft:
    """Training that is left.

    Attributes:
        seconds: of all runs whose epochs can be estimated, `jobs` at the same time.
        is_complete: False where other runs are left too: neither they nor runs alike have a finished epoch.
    """

    seconds: float
    is_complete: bool


class EpochSeconds:
    """The seconds of each finished epoch, by run."""

    def __init__(self) -> None:
        self._known: dict[str, list[float]] = {}
        self._final: set[str] = set()
        self._read: dict[str, tuple[float, int]] = {}

    def __call__(self, trial: Trial) -> list[float]:
        """Return the seconds of the epochs in history.json, else in last.pt, which is read every `REFRESH_S`."""
        if trial.is_trained and trial.label not in self._final:
            rows = json.loads((trial.out / "history.json").read_text())
            self._known[trial.label] = [float(row["seconds"]) for row in rows]
            self._final.add(trial.label)
        elif trial.label not in self._final:
            self._read_state(trial)
        return self._known.get(trial.label, [])

    def _read_state(self, trial: Trial) -> None:
        last, now = trial.out / "last.pt", time.monotonic()
        read_at, version = self._read.get(trial.label, (-REFRESH_S, 0))
        if now - read_at < REFRESH_S or not last.exists() or (found := last.stat().st_mtime_ns) == version:
            return
        self._read[trial.label] = now, found
        try:
            rows = load_state(last, mmap=True)["history"]
        except CheckpointError:  # the run itself says what is wrong with it
            return
        self._known[trial.label] = [float(row["seconds"]) for row in rows]


def estimate_time_left(
    trials: Sequence[Trial], epoch_seconds: Callable[[Trial], list[float]], *, jobs: int
) -> TimeLeft | None:
    """Estimate the training time of what is left of `trials`, with `jobs` runs at the same time.

    An epoch takes what the run's own epochs took; larger images take more. Before the first one it takes the mean of
    the runs of the same name, else of the same model. Ensemble and releases are not counted. Return None where
    nothing can be estimated.
    """
    rates = {
        t.label: sum(seconds) / cost_of_epochs(t.config, len(seconds)) for t in trials if (seconds := epoch_seconds(t))
    }
    left, is_complete = [], True
    for trial in trials:
        if trial.is_trained:
            continue
        rate = _rate_of(trial, trials, rates)
        if rate is None:
            is_complete = False
        else:
            done = cost_of_epochs(trial.config, len(epoch_seconds(trial)))
            left.append((cost_of_epochs(trial.config, trial.config.num_epochs) - done) * rate)
    if not left:
        return TimeLeft(0.0, is_complete) if is_complete else None
    return TimeLeft(max(*left, sum(left) / min(jobs, len(left))) if len(left) > 1 else left[0], is_complete)


def _rate_of(trial: Trial, trials: Sequence[Trial], rates: dict[str, float]) -> float | None:
    """Return the seconds of a run for a unit of cost, from the runs that are most like it."""
    by_likeness: tuple[Callable[[Trial], str], ...] = (lambda t: t.label, lambda t: t.name, lambda t: t.config.model)
    for kind in by_likeness:
        if found := [rates[other.label] for other in trials if other.label in rates and kind(other) == kind(trial)]:
            return statistics.fmean(found)
    return None
