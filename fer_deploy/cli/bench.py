"""fer-deploy bench: settings and printing around `run_bench`."""

import errno
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.status import Status

from fer_deploy.artifacts import Family, bundled_files
from fer_deploy.bench.layers import measure_layers
from fer_deploy.bench.machine.host import background_work
from fer_deploy.bench.measuring import OnMessage
from fer_deploy.bench.outcome import BenchConfig, run_bench
from fer_deploy.cli.options import settings_from_flags
from fer_deploy.cli.terminal.bench_report import print_outcome
from fer_deploy.cli.terminal.layers_report import print_layers
from fer_deploy.engines.best import BEST_NAME
from fer_deploy.engines.bundled_best import bundled_best_file
from fer_deploy.errors import ArtifactError, ConfigError, VerificationError
from fer_deploy.files.durable import write_whole


def bench(folder: Path | None, as_json: bool, layers: bool, **flags: Any) -> None:
    """Measure the artifacts of a folder, or the bundled models; see `fer_deploy.cli.flags.bench` for the flags."""
    if folder is None and layers:
        raise ConfigError("--layers takes one model. Fix: the path of an .onnx or .plan")
    if folder is None:
        _bench_bundled(as_json, flags)
        return
    if layers:
        _bench_layers(folder, as_json, flags)
        return
    config = settings_from_flags(BenchConfig, None, flags)
    console = Console(stderr=True, markup=False, highlight=False)
    target = folder / BEST_NAME
    if folder.is_dir():  # what is not writable is to show before minutes of work
        _require_writable(folder, target)
    _warn_of_other_work(console)
    with _progress(console) as on_message:
        outcome = run_bench(folder, config, on_message=on_message)
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), indent=2))
    else:
        print_outcome(outcome, Console(markup=False, highlight=False))
    outcome.winner("single")  # raises where nothing holds the limits; an older best.json stays then
    workers = outcome.winner("workers")
    _write(target, outcome.best().to_bytes())
    console.print(
        f"{workers.result.artifact.path.name} with {workers.result.candidate.engine_text} is the best here for workers "
        f"({target}); now: fer-deploy live --engine {shlex.quote(os.fspath(folder))}",
        soft_wrap=True,
    )


def _bench_bundled(as_json: bool, flags: dict[str, Any]) -> None:
    """Measure the bundled models of each family; the results are in the user's cache, where the commands find them."""
    config = settings_from_flags(BenchConfig, None, flags)
    console = Console(stderr=True, markup=False, highlight=False)
    targets = {family: bundled_best_file(family) for family in get_args(Family)}
    for target in targets.values():  # as for a folder
        _require_cache(target)
    _warn_of_other_work(console)
    outcomes = {}
    with _progress(console) as on_message:
        for family in targets:
            files = bundled_files(family)
            names = [path.name for path in files]
            outcomes[family] = run_bench(files[0].parent, config, only=names, on_message=on_message)
    if as_json:
        click.echo(json.dumps({family: found.to_dict() for family, found in outcomes.items()}, indent=2))
    failures = []
    for family, outcome in outcomes.items():
        if not as_json:
            click.echo(f"--model {family}")
            print_outcome(outcome, Console(markup=False, highlight=False))
        try:
            outcome.winner("single")
            best = outcome.winner("workers").result
        except VerificationError as err:  # another family may hold the limits
            failures.append(f"--model {family}: {err}")
            continue
        _write(targets[family], outcome.best().to_bytes())
        console.print(
            f"{best.artifact.path.name} with {best.candidate.engine_text} is the best here for workers "
            f"({targets[family]}); now: fer-deploy live --model {family}",
            soft_wrap=True,
        )
    if failures:
        raise VerificationError("\n".join(failures))


def _require_cache(target: Path) -> None:
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(target.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as err:
        raise ArtifactError(
            f"cannot write {target}: {err.strerror or err}. Fix: XDG_CACHE_HOME=FOLDER that can be written"
        ) from err


def _warn_of_other_work(console: Console) -> None:
    for work in background_work():
        console.print(f"warning: {work.command} runs, so times are worthless. Fix: {work.advice}", soft_wrap=True)


def _bench_layers(file: Path, as_json: bool, flags: dict[str, Any]) -> None:
    """Print the time of each layer of one model."""
    others = [name for name, value in flags.items() if value is not None and name not in ("threads", "device")]
    if others:
        raise ConfigError(f"--{others[0].replace('_', '-')} does not go with --layers. Fix: leave one of them out")
    if file.is_dir():
        raise ConfigError(f"--layers takes one model, and {file} is a folder. Fix: the path of an .onnx or .plan in it")
    config = settings_from_flags(BenchConfig, None, flags)
    times = measure_layers(file, device=config.device, threads=config.threads)
    if as_json:
        click.echo(json.dumps(times.to_dict(), indent=2))
    else:
        print_layers(times, Console(markup=False, highlight=False))


def _require_writable(folder: Path, target: Path) -> None:
    if not os.access(folder, os.W_OK):
        copy = shlex.quote(os.fspath(Path("artifacts") / folder.name))
        raise ArtifactError(
            f"cannot write {target}: the folder is read-only. Fix: cp -r {shlex.quote(os.fspath(folder))} {copy}, "
            f"then fer-deploy bench {copy}"
        )


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as err:
        raise ArtifactError(f"cannot write {path}: {err.strerror or err}. Fix: make the folder writable") from err


@contextmanager
def _progress(console: Console) -> Iterator[OnMessage]:
    """Show the step that runs: in place on a terminal, else a line each."""
    if not console.is_terminal:
        yield lambda text: console.print(text, soft_wrap=True)
        return
    with Status("", console=console) as status:
        yield status.update
