"""The flags of fer-deploy archive verify."""

from typing import Any

import click

from fer_deploy.cli.flags.archive import address, archive_body
from fer_deploy.cli.interface import Command


@click.command("archive-verify", cls=Command, examples=[("after archive join", "fer-deploy archive verify archive")])
@address
def command(**flags: Any) -> None:
    """Count frames and faces again: in the tables, in the segments and in the manifest; find damaged segments."""
    archive_body("verify")(**flags)
