"""fer-deploy rebuild: settings and printing around `fer_deploy.pack.rebuilding` and `fer_deploy.bench`."""

import json
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console

from fer_deploy.bench.machine.host import background_work
from fer_deploy.bench.measuring import OnMessage
from fer_deploy.bench.outcome import BenchConfig, run_bench
from fer_deploy.bench.outcome import Outcome as BenchOutcome
from fer_deploy.cli.options import settings_from_flags
from fer_deploy.cli.terminal.rebuild_report import print_rebuild, speeds_of, unmeasured_of
from fer_deploy.cli.terminal.steps import messages_shown
from fer_deploy.engines.best import BEST_NAME
from fer_deploy.environment import survey
from fer_deploy.errors import EngineError, ExportError, MissingDependencyError, VerificationError
from fer_deploy.files.durable import write_whole
from fer_deploy.flavors import Flavor


def rebuild(
    pack: Path, out: Path, flavor: str | None, profile: tuple[int, int, int] | None, no_bench: bool, quick: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Rebuild a pack in a folder; see `fer_deploy.cli.flags.rebuild` for the flags."""
    try:
        rebuilding = import_module("fer_deploy.pack.rebuilding")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"rebuild needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[cpu,rebuild]'; plans "
            "also need tensorrt-rtx or tensorrt in the brackets"
        ) from err
    sizes = None if profile is None else dict(zip(("min", "opt", "max"), profile, strict=True))
    given = {
        "pack": pack,
        "out": out,
        "flavor": None if flavor is None else Flavor(flavor.replace("-", "_")),
        "profile": sizes,
    }
    config = settings_from_flags(rebuilding.RebuildConfig, None, given)
    with messages_shown(f"rebuilding {pack}") as on_message:
        done = rebuilding.rebuild(config, on_message=on_message)
        measured = None if no_bench or not done.has_artifacts else _bench(out, quick, on_message)
    if as_json:
        record = done.to_dict(survey()) | {"bench": None if measured is None else measured.to_dict()}
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        speeds = {} if measured is None else speeds_of(measured)
        unmeasured = {} if measured is None else unmeasured_of(measured)
        print_rebuild(done, speeds, Console(markup=False, highlight=False), unmeasured)
    if done.failure is not None:
        raise done.failure


def _bench(folder: Path, quick: bool, on_message: OnMessage) -> BenchOutcome | None:
    """Measure the folder and write best.json if something holds the limits; None: nothing in it runs here."""
    for work in background_work():
        on_message(f"note: {work.command} runs, so times are worthless. Fix: {work.advice}")
    try:
        found = run_bench(folder, BenchConfig(quick=quick), on_message=on_message)
    except EngineError as err:
        on_message(f"note: nothing was measured: {err}")
        return None
    try:
        for use in found.ranked:
            found.winner(use)
        write_whole(folder / BEST_NAME, found.best().to_bytes())
    except VerificationError as err:
        on_message(f"note: no {BEST_NAME} was written: {err}")
    except OSError as err:
        raise ExportError(f"cannot write {folder / BEST_NAME}: {err.strerror or err}. Fix: free space") from err
    return found
