"""The flags of fer-deploy archive run."""

from typing import Any

import click

from fer_deploy.cli.flags.archive import Amount, address, archive_body, scratch
from fer_deploy.cli.interface import FILE, Command, option

_RAY = "Ray"


@click.command(
    "archive-run",
    cls=Command,
    examples=[
        ("on one machine, with two processes", "fer-deploy archive run archive --jobs 2"),
        ("the third of sixteen machines", "fer-deploy archive run s3://bucket/archive --shard 3/16 --jobs 8"),
        ("in a Slurm array", "fer-deploy archive run /shared/archive --shard slurm"),
        ("on a node of a Ray cluster: all of it", "fer-deploy archive run s3://bucket/archive --ray auto"),
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
    type=click.IntRange(1),
    metavar="N",
    default_text="1; with --ray as many as the cluster has room for",
    help="Worker processes, each with its own models; with --ray at most so many.",
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
@option(
    "--ray",
    metavar="auto|local|HOST:PORT",
    section=_RAY,
    default_text="no Ray",
    help="Spread the workers over the Ray cluster that this machine is a node of (auto, or the head's address); local: "
    "over this machine. Needs the extra [ray].",
)
@option(
    "--min-jobs",
    type=click.IntRange(1),
    metavar="N",
    section=_RAY,
    default_text="1",
    help="Workers that the cluster is asked for at once, so that it grows.",
)
@option(
    "--threads-per-worker",
    type=click.IntRange(1, 16),
    metavar="N",
    section=_RAY,
    default_text="1",
    help="Threads of a worker that detect and classify, and the CPUs that it asks for.",
)
@option(
    "--memory-per-worker",
    type=click.IntRange(100),
    metavar="MB",
    section=_RAY,
    default_text="1000",
    help="Memory that a worker asks for.",
)
@option(
    "--gpus-per-worker",
    type=Amount(),
    metavar="N",
    section=_RAY,
    default_text="1 if the plan's model or device needs a GPU, else 0",
    help="GPUs that a worker asks for, such as 0.25. 0: it sees none.",
)
@option(
    "--hang-after",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    section=_RAY,
    default_text="300",
    help="Replace a worker without progress for so long.",
)
def command(**flags: Any) -> None:
    """Compute the segments of an archive. Any number of machines may run at once, and any may be stopped.

    A segment that fails three times is given up: see archive status, and archive retry.
    """
    archive_body("run")(**flags)
