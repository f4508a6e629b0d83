"""The flags of fer-deploy archive run."""

from typing import Any

import click

from fer_deploy.cli.flags.archive import address, archive_body, scratch
from fer_deploy.cli.interface import FILE, Command, option


@click.command(
    "archive-run",
    cls=Command,
    examples=[
        ("on one machine, with two processes", "fer-deploy archive run archive --jobs 2"),
        ("the third of sixteen machines", "fer-deploy archive run s3://bucket/archive --shard 3/16 --jobs 8"),
        ("in a Slurm array", "fer-deploy archive run /shared/archive --shard slurm"),
    ],
)
@address
@option(
    "--shard",
    metavar="I/N",
    default="1/1",
    default_text="all segments",
    help="Which part of the segments comes first; then it helps with the others. slurm: as the array's variables say.",
)
@option(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    default=1,
    show_default=True,
    help="Worker processes, each with one thread and its own models.",
)
@scratch
@option(
    "--engine",
    type=FILE,
    metavar="FILE",
    default_text="as in the plan",
    help="Where the model of the plan is on this machine.",
)
@option(
    "--detector-model",
    type=FILE,
    metavar="FILE",
    default_text="as in the plan",
    help="Where the detector's file of the plan is on this machine.",
)
def command(**flags: Any) -> None:
    """Compute the segments of an archive. Any number of machines may run at once, and any may be stopped.

    A segment that fails three times is given up: see archive status, and archive retry.
    """
    archive_body("run")(**flags)
