"""fer-deploy pack: settings and printing around `fer_deploy.pack.packing`."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from fer_deploy.cli.options import settings_from_flags
from fer_deploy.cli.terminal.steps import messages_shown
from fer_deploy.errors import MissingDependencyError


def pack(folder: Path, out: Path, **flags: Any) -> None:
    """Write an export into one file; see `fer_deploy.cli.flags.pack` for the flags."""
    try:
        packing = import_module("fer_deploy.pack.packing")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"pack needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[cpu,rebuild]'"
        ) from err
    config = settings_from_flags(packing.PackConfig, None, {"folder": folder, "out": out, **flags})
    with messages_shown(f"packing {folder}") as on_message:
        done = packing.pack(config, on_message=on_message)
    for found in done.comparisons:
        click.echo(f"{found.artifact}: {found.in_words()}")
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB, saved logits of {done.reference}")
    if done.note:
        click.echo(f"note: {done.note}", err=True)
    click.echo(f"on another machine: fer-deploy rebuild {out.name} --out {done.manifest.model}")
