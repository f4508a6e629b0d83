"""fer-train: `flags` has each command's options; its work is imported when it runs."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.logging import RichHandler

from fer_train import __version__, signals
from fer_train.cli.interface import Group, logs
from fer_train.cli.interface.variables import with_variables
from fer_train.cli.standard_output import failures_as_output_errors
from fer_train.errors import FerTrainError, OutOfMemoryError, OutputError, is_out_of_memory

COMMANDS: Final = {
    "train": "train one model, or one for each seed",
    "crossval": "k-fold cross-validation, duplicates kept together",
    "distill": "train one model on the answers of others",
    "evaluate": "measure a checkpoint on one split",
    "audit": "duplicates, leakage, non-faces, likely label errors",
    "ensemble": "average the probabilities of several checkpoints",
    "soup": "average the weights of fine-tuned checkpoints into one",
    "release": "fp16 weights with their metrics and model card",
    "sweep": "every run of a plan, their ensemble and its students",
    "runs": "a table of training runs",
}
_HEADINGS: Final = {
    "Train": ("train", "crossval", "distill"),
    "Measure": ("evaluate", "audit"),
    "Combine and publish": ("ensemble", "soup", "release"),
    "Many runs": ("sweep", "runs"),
}
_EXAMPLES: Final = (
    (
        "does everything work? about a minute",
        "fer-train train --config configs/train/net.yaml --data fer2013.csv --quick",
    ),
    ("train", "fer-train train --config configs/train/net.yaml --data fer2013.csv"),
    ("measure", "fer-train evaluate --checkpoint runs/net/final.safetensors --data fer2013.csv"),
    ("publish", "fer-train release --checkpoint runs/net/final.safetensors --data fer2013.csv --out net.safetensors"),
)


class _Program(Group):
    """Turns errors into one message and their exit code."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        """Run the command line; help and version, too, may not reach standard output."""
        words = sys.argv[1:] if args is None else args
        # Of the processes that torchrun started, the first one speaks for all.
        level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
        with logs.governed("fer_train", words, redact=str, level=level, text_handler=_text_handler) as line:
            try:
                with signals.governed(), failures_as_output_errors():
                    signals.lines_by(line)
                    return super().main(args, *more, **extra)
            except OutputError as err:
                click.echo(f"error: {err}", err=True)
                sys.exit(err.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FerTrainError as err:
            signals.check()
            click.echo(f"error: {with_variables(str(err), ctx)}", err=True)
            sys.exit(err.exit_code)
        except (MemoryError, RuntimeError) as err:
            signals.check()
            if not is_out_of_memory(err):
                raise
            what = (str(err).splitlines() or [repr(err)])[0]
            click.echo(f"error: out of memory: {what}. Fix: --device cpu, or end what else uses the device", err=True)
            sys.exit(OutOfMemoryError.exit_code)


def _text_handler() -> logging.Handler:
    handler = RichHandler(console=Console(stderr=True), show_path=False)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


@click.group(cls=_Program, package="fer_train.cli.flags", headings=_HEADINGS, short_helps=COMMANDS, examples=_EXAMPLES)
@click.version_option(__version__)
def main() -> None:
    """Train face-emotion models on FER2013, measure them and publish them."""
