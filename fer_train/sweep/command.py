"""The work of the command fer-train sweep: read the plan, do what is left of it, write the table."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import click

from fer_train import signals
from fer_train.errors import CheckpointError, FerTrainError
from fer_train.privacy.portable_paths import shown_path
from fer_train.signals import Stopped
from fer_train.sweep.copies import Copies, CopyingReporter
from fer_train.sweep.jobs import Place
from fer_train.sweep.plan import read_plan
from fer_train.sweep.progress import SweepProgress
from fer_train.sweep.report import write_report
from fer_train.sweep.sweep import Files, Sweep
from fer_train.training.folder_lock import only_run_in


def sweep_plan(
    plan_path: Path,
    data: Path,
    *,
    ferplus: Path | None,
    twin_rows: Path | None,
    out: Path | None,
    publish: Path | None,
    minutes: float,
    place: AbstractContextManager[Place],
    copy_to: str | None = None,
) -> None:
    """Do what is left of a plan and print the table; a signal ends it with a hint how to continue.

    Args:
        plan_path: YAML; see `Plan`.
        data: as `fer-train train` takes it.
        ferplus: votes of FER+; None leaves out the runs that need them.
        twin_rows: as `fer-train train` takes it.
        out: folder of the sweep; None for runs/sweep-<name of the plan>.
        publish: folder that gets the table too.
        minutes: time limit; infinite for none.
        place: where the runs are computed; entered while it is needed.
        copy_to: address that gets copies of all runs, and has those of another machine; None: no copies.

    Raises:
        ConfigError: a plan or a run that cannot be used.
        CheckpointError: `out` cannot be written, or another sweep writes into it.
        FerTrainError: runs failed.
    """
    out = out or Path("runs") / f"sweep-{plan_path.stem}"
    plan = read_plan(plan_path)
    files = Files(str(data), *(None if path is None else str(path) for path in (twin_rows, ferplus)))
    try:
        with only_run_in(out), _copies(copy_to, out) as copies, place as where:
            fetched = copies.fetch() if copies else []
            sweep = Sweep(plan, out, files, minutes=minutes, place=where)
            missing = {name: lacks for name, lacks in sweep.left_out().items() if lacks}
            with SweepProgress(
                sweep.within_reach(), jobs=where.num_at_once(plan.jobs), deadline=sweep.deadline
            ) as progress:
                if missing:
                    progress.say(f"left out: {', '.join(_in_words(missing))}")
                if copies and fetched:
                    progress.say(f"from {copies}: {', '.join(fetched)}")
                failed = sweep.work(CopyingReporter(progress, copies, progress.say) if copies else progress)
            left_out = sweep.left_out()
            command = _command_line(plan_path, data, ferplus=ferplus, twin_rows=twin_rows)
            text = write_report(sweep, out / "sweep.md", command=command, left_out=_in_words(left_out), publish=publish)
    except Stopped:
        click.echo(f"{signals.message()}; finished runs and epochs are in {out}: the same command continues", err=True)
        sys.exit(signals.exit_code())
    click.echo(text)
    if failed:
        names = ", ".join(f"{job.name} ({job.log})" for job in failed)
        raise FerTrainError(f"failed: {names}. Fix: see the logs; the same command tries these again")
    click.echo(f"{_ending(left_out)}; table: {out / 'sweep.md'}")


@contextmanager
def _copies(address: str | None, out: Path) -> Iterator[Copies | None]:
    """Yield the copies at an address, and send what is left at the end, also after a signal."""
    copies = None if address is None else Copies(address, out)
    try:
        yield copies
    except BaseException:
        if copies is not None:
            with suppress(CheckpointError):  # what ends the sweep is told
                copies.send()
        raise
    if copies is not None:
        copies.send()


def _command_line(plan: Path, data: Path, **files: Path | None) -> str:
    """Return the command without the folders of this machine."""
    words = ["fer-train", "sweep", "--plan", shown_path(plan), "--data", shown_path(data)]
    for name, path in files.items():
        words += [f"--{name.replace('_', '-')}", shown_path(path)] if path is not None else []
    return shlex.join(words)


def _in_words(left_out: dict[str, str]) -> list[str]:
    return [f"{name} (needs {lacks})" if lacks else name for name, lacks in left_out.items()]


def _ending(left_out: dict[str, str]) -> str:
    missing = ", ".join(_in_words({name: lacks for name, lacks in left_out.items() if lacks}))
    if all(left_out.values()):
        return f"all done but {missing}" if missing else "all done"
    return f"time is up; the same command continues{f', without {missing}' if missing else ''}"
