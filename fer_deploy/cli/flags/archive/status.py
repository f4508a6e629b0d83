"""The flags of fer-deploy archive status."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags.archive import Amount, address, archive_body
from fer_deploy.cli.interface import Command, option


@click.command(
    "archive-status", cls=Command, examples=[("how far the archive is", "fer-deploy archive status archive")]
)
@address
@option(
    "--price-per-core-hour",
    type=Amount(),
    metavar="MONEY",
    default_text="as in the plan",
    help="What an hour of one core costs.",
)
@shared_flags.json_flag("the status")
def command(**flags: Any) -> None:
    """Say what of an archive is done, missing and given up, what it cost so far, and how long the rest takes.

    While segments that were given up are left, the exit code is 8, as that of run.
    """
    archive_body("status")(**flags)
