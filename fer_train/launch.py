"""Entry point of fer-train: says what to install where PyTorch and its company are absent."""

import sys

import click


def main() -> None:
    """Run the command line, or exit with 3 and the mend where a package of the `train` extra is missing."""
    try:
        from fer_train.cli import main as run  # noqa: PLC0415 - the import is what may fail
    except ModuleNotFoundError as err:
        click.echo(
            f"error: fer-train needs {err.name}. Fix: make setup, or pip install 'fer-toolchain[train]'", err=True
        )
        sys.exit(3)
    run()
