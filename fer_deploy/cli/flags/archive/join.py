"""The flags of fer-deploy archive join."""

from typing import Any

import click

from fer_deploy.cli.flags.archive import address, archive_body, scratch
from fer_deploy.cli.interface import Command, option


@click.command(
    "archive-join", cls=Command, examples=[("tables of the finished videos", "fer-deploy archive join archive")]
)
@address
@option(
    "--allow-incomplete",
    is_flag=True,
    help="Include videos up to the first segment that is missing; video_complete is false in their rows.",
)
@option("--jobs", type=click.IntRange(1, 256), metavar="N", default=1, show_default=True, help="Processes.")
@scratch
def command(**flags: Any) -> None:
    """Write the tables faces, frames and videos, with the rows that fer-deploy analyze writes for each video.

    Videos with missing segments are named and left out, and the exit code is 8.
    """
    archive_body("join")(**flags)
