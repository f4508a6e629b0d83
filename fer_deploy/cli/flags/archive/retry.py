"""The flags of fer-deploy archive retry."""

from typing import Any

import click

from fer_deploy.cli.flags.archive import address, archive_body
from fer_deploy.cli.interface import Command, option


@click.command(
    "archive-retry",
    cls=Command,
    examples=[
        ("after more memory was found", "fer-deploy archive retry archive --only memory"),
        ("after a disk has failed", "fer-deploy archive retry archive --damaged"),
    ],
)
@address
@option(
    "--only",
    type=click.Choice(["read", "decode", "engine", "memory", "crash", "hang", "setting"]),
    default_text="all",
    help="Only segments that failed in this way.",
)
@option(
    "--damaged",
    is_flag=True,
    help="Instead, read all finished segments and remove damaged files, so that the next run computes them.",
)
def command(**flags: Any) -> None:
    """Let the next run try segments again: those that were given up, or those whose files are damaged."""
    archive_body("retry")(**flags)
