"""fer-train: one module a command, each imported only when its command is called."""

import logging
import os
import sys
from importlib import import_module
from typing import Any

import click
from rich.console import Console
from rich.logging import RichHandler

from fer_train import __version__, signals
from fer_train.cli.standard_output import failures_as_output_errors
from fer_train.errors import (
    FerTrainError,
    MissingDependencyError,
    OutOfMemoryError,
    OutputError,
    is_out_of_memory,
)  # fmt: skip

COMMANDS = {
    "train": "train one model, or one for each seed",
    "evaluate": "measure a checkpoint on one split",
    "release": "fp16 weights with their metrics and model card",
    "audit": "duplicates, leakage, non-faces, likely label errors",
    "crossval": "k-fold cross-validation, duplicates kept together",
    "ensemble": "average the probabilities of several checkpoints",
    "soup": "average the weights of fine-tuned checkpoints into one",
    "distill": "train one model on the answers of others",
    "sweep": "every run of a plan, their ensemble and its students",
    "runs": "a table of training runs",
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is called, and turns errors into one message and their exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # Before torch is loaded: threads that wait spin by default, and starve each other where others use the cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            command: click.Command = import_module(f"fer_train.cli.{cmd_name}").command
        except ModuleNotFoundError as err:
            raise MissingDependencyError(
                f"fer-train {cmd_name} needs {err.name}. Fix: make setup, or pip install 'fer-toolchain[train]'"
            ) from err
        signals.working()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line; help and version, too, may not reach standard output."""
        try:
            with signals.governed(), failures_as_output_errors():
                return super().main(*args, **extra)
        except OutputError as err:
            click.echo(f"error: {err}", err=True)
            sys.exit(err.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FerTrainError as err:
            signals.check()
            click.echo(f"error: {err}", err=True)
            sys.exit(err.exit_code)
        except (MemoryError, RuntimeError) as err:
            signals.check()
            if not is_out_of_memory(err):
                raise
            what = (str(err).splitlines() or [repr(err)])[0]
            click.echo(f"error: out of memory: {what}. Fix: --device cpu, or end what else uses the device", err=True)
            sys.exit(OutOfMemoryError.exit_code)


@click.group(cls=_LazyGroup)
@click.version_option(__version__)
def main() -> None:
    """Train face-emotion models on FER2013."""
    console = Console(stderr=True)
    # Of the processes that torchrun started, the first one speaks for all.
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)])
