"""Train every run of a plan, ensemble the best, distill students from the ensemble; a table of all runs at the end.

Every run is `fer-train` in processes of its own. A stage whose output is there is not done again, so that the same
command goes on where it was stopped; `--minutes` stops it in good order (SIGTERM; each run keeps its finished epochs).
A run that fails does not stop the others; the sweep then ends with 1. Runs that need FER+ votes are left out without
`--ferplus`. The ensemble is made once, of the singles that are released by then (`after_share` of the plan says from
when on not all are waited for); students come before the singles that are left. The table, which names what was left
out, is written to OUT/sweep.{md,json}; with `--publish` also to benchmarks/results.

    python benchmarks/sweep.py --plan configs/sweep/tiny.yaml --data data/fer2013.csv --minutes 20
"""

import json
import math
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from _sweep_jobs import Job, run_jobs
from _sweep_plan import Plan, Trial, read_plan, write_trials
from _sweep_report import as_markdown, row_of_trial
from harness.measuring import Output, environment, publish_option
from rich.console import Console

from fer_train.amp import resolve_device
from fer_train.errors import ConfigError

_console = Console()


@dataclass(frozen=True)
class Files:
    """What the runs read; see the flags of fer-train."""

    data: str
    twin_rows: str | None = None
    ferplus: str | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """The faces, as `train` and `release` take them."""
        return ("--data", self.data, *(("--twin-rows", self.twin_rows) if self.twin_rows else ()))


class Sweep:
    """A plan under way: what is done is told by the files in `out`."""

    def __init__(self, plan: Plan, out: Path, files: Files, *, minutes: float) -> None:
        """Write the configs of all runs; the minutes count from now.

        Raises:
            ConfigError: a run that fer-train would refuse.
        """
        self.ensemble = out / "ensemble.json"
        self.singles = write_trials(plan.singles, out)
        self.students = write_trials(plan.students, out, teacher=self.ensemble)
        self._plan, self._out, self._files = plan, out, files
        now, share = time.monotonic(), plan.ensemble.after_share
        self._deadline = now + 60 * minutes
        self._ensemble_due = math.inf if share is None else now + 60 * minutes * share

    def work(self) -> list[Job]:
        """Do what is left of the plan until the deadline; return the jobs that failed."""
        failed: list[Job] = []
        if not self.ensemble.exists():
            failed += self._run(self.singles, self._is_ensemble_due)
            failed += self._make_ensemble()
        students = self.students if self.ensemble.exists() else []
        tried = {job.name for job in failed}
        left = [trial for trial in (*students, *self.singles) if trial.label not in tried]
        return failed + self._run(left, self._is_over)

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline

    def _is_ensemble_due(self) -> bool:
        return self._is_over() or (time.monotonic() >= self._ensemble_due and len(_released(self.singles)) >= 2)

    def _run(self, trials: list[Trial], is_over: Callable[[], bool]) -> list[Job]:
        jobs = [self._job(t) for t in trials if not t.is_released and not self._lacks_votes(t)]
        return run_jobs(jobs, at_once=self._plan.jobs, is_over=is_over)

    def _lacks_votes(self, trial: Trial) -> bool:
        return trial.needs_votes and not trial.is_trained and self._files.ferplus is None

    def _job(self, trial: Trial) -> Job:
        # Only to whom they serve: a run resumes with the votes that it began with, be they used or not.
        votes = ("--ferplus", self._files.ferplus) if trial.needs_votes and self._files.ferplus else ()
        resume = ("--resume",) if (trial.out / "last.pt").exists() else ()
        train = (
            "train", "--config", str(trial.config), *self._files.flags, *votes, "--out", str(trial.out), *resume,
        )  # fmt: skip
        release = (
            "release", "--checkpoint", str(trial.out / "final.safetensors"), *self._files.flags, "--recalibrate",
            "--out", str(trial.release),
        )  # fmt: skip
        return Job(trial.label, (release,) if trial.is_trained else (train, release), trial.out / "log.txt")

    def _make_ensemble(self) -> list[Job]:
        """Choose the best released singles by PublicTest, flip, and their weights; return the job if it failed."""
        released = _released(self.singles)
        if len(released) < 2:
            return []
        best = sorted(released, key=lambda t: -t.metrics()["flip"]["accuracy"])[: self._plan.ensemble.size]
        members = [word for t in best for word in ("--checkpoint", str(t.release))]
        words = ("ensemble", *members, "--data", self._files.data, "--flip", "--out", str(self.ensemble))
        job = Job("the ensemble", (words,), self._out / "ensemble.log")
        return run_jobs([job], at_once=1, is_over=self._is_over)

    def left_out(self) -> dict[str, str]:
        """Return what of the plan is not done, with what it lacks; "": nothing, the same command goes on with it."""
        within_reach = [t for t in self.singles if t.is_released or not self._lacks_votes(t)]
        lacks = "" if self.ensemble.exists() or len(within_reach) >= 2 else "two singles"
        ensemble = {} if self.ensemble.exists() else {"the ensemble": lacks}
        return self._unfinished(self.singles) | ensemble | self._unfinished(self.students, lacks and "the ensemble")

    def _unfinished(self, trials: list[Trial], lacks: str = "") -> dict[str, str]:
        return {
            t.label: "--ferplus" if self._lacks_votes(t) else lacks
            for t in trials
            if not t.is_released
        }  # fmt: skip

    def released(self) -> list[Trial]:
        """Return the finished runs, singles first."""
        return _released([*self.singles, *self.students])


def _released(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.is_released]


def end_by_sigterm(*_: object) -> None:
    """Raise SystemExit, so that a sweep that is terminated takes its runs with it."""
    sys.exit(143)


def _in_words(left_out: dict[str, str]) -> list[str]:
    return [f"{name} (needs {lacks})" if lacks else name for name, lacks in left_out.items()]


def _ending(left_out: dict[str, str]) -> str:
    beyond = ", ".join(_in_words({name: lacks for name, lacks in left_out.items() if lacks}))
    if all(left_out.values()):
        return f"all done but {beyond}" if beyond else "all done"
    return f"time is up; the same command goes on{f', without {beyond}' if beyond else ''}"


@click.command()
@click.option("--plan", "plan_path", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--data", required=True)
@click.option("--ferplus", help="FER+ votes; without them the runs that use them are left out.")
@click.option("--twin-rows")
@click.option("--out", type=click.Path(path_type=Path), help="[default: runs/sweep-<name of the plan>]")
@publish_option
@click.option("--minutes", default=600.0, show_default=True, help="Stop in good order after so many.")
def main(plan_path: Path, data: str, ferplus: str | None, twin_rows: str | None, out: Path | None, publish: bool,
         minutes: float) -> None:  # fmt: skip
    """Work through the plan; call again to go on."""
    out = out or Path("runs") / f"sweep-{plan_path.stem}"
    try:
        sweep = Sweep(read_plan(plan_path), out, Files(data, twin_rows, ferplus), minutes=minutes)
    except ConfigError as err:
        raise click.ClickException(str(err)) from err
    if beyond := _in_words({name: lacks for name, lacks in sweep.left_out().items() if lacks}):
        _console.print(f"left out: {', '.join(beyond)}", markup=False, soft_wrap=True)
    failed, left_out = sweep.work(), sweep.left_out()
    _write_table(sweep, out, _in_words(left_out), publish=publish)
    if failed:
        names = ", ".join(f"{job.name} ({job.log})" for job in failed)
        raise click.ClickException(f"failed: {names}. Fix: see the logs; the same command tries these again")
    _console.print(f"{_ending(left_out)}; table: {out / 'sweep.md'}", markup=False, soft_wrap=True)


def _write_table(sweep: Sweep, out: Path, left_out: list[str], *, publish: bool) -> None:
    device = resolve_device("auto")
    env, rows = environment(device), [row_of_trial(trial) for trial in sweep.released()]
    ensemble = json.loads(sweep.ensemble.read_text()) if sweep.ensemble.exists() else None
    text = as_markdown(rows, env, ensemble, left_out)
    result = {**env, "runs": rows, "ensemble": ensemble, "left_out": left_out}
    Output(out / "sweep.md", publish).write("sweep", device, result, text)
    _console.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end_by_sigterm)
    main()
