"""The flags of fer-deploy doctor."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import Command


@click.command(
    "doctor",
    cls=Command,
    examples=[
        ("what works here, and what makes the rest work", "fer-deploy doctor"),
        ("for a bug report", "fer-deploy doctor --json"),
    ],
)
@shared_flags.json_flag("everything")
def command(**flags: Any) -> None:
    """Show what is on this machine, which engines run on it and which extras are installed."""
    body("doctor")(**flags)
