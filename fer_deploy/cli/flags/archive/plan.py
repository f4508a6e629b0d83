"""The flags of fer-deploy archive plan."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags.analyze import sample_fps
from fer_deploy.cli.flags.archive import Amount, archive_body, scratch
from fer_deploy.cli.interface import Command, option

_COST = "Estimate"


@click.command(
    "archive-plan",
    cls=Command,
    examples=[
        ("all videos in a folder and below", "fer-deploy archive plan videos --out archive"),
        (
            "a list of names, with the price of a core-hour",
            "fer-deploy archive plan @list.txt --out s3://bucket/archive --price-per-core-hour 0.04",
        ),
    ],
)
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    metavar="INPUT...",
    help="Videos: files, folders, patterns, addresses such as s3://bucket/folder, or @FILE with one of these a line.",
)
@option("--out", metavar="URL", required=True, help="Output: a folder, or an address such as s3://bucket/out.")
@option(
    "--segment-frames",
    type=int,
    metavar="N",
    default_text="about a thousand",
    help="Frames of a segment: a multiple of 12.",
)
@sample_fps
@option(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    default=1,
    show_default=True,
    help="Videos that are read at once, and processes of the pilot.",
)
@scratch
@option(
    "--pilot",
    type=click.IntRange(0),
    metavar="N",
    default=20,
    show_default=True,
    section=_COST,
    help="Segments to analyze now, spread over the videos, to estimate the cost of all. They are kept. 0: none.",
)
@option(
    "--price-per-core-hour",
    type=Amount(),
    metavar="MONEY",
    default=0.0,
    default_text="no money is shown",
    section=_COST,
    help="What an hour of one core costs.",
)
@shared_flags.engine_options
@shared_flags.analysis_options
@shared_flags.config("docs/archive.md")
def command(**flags: Any) -> None:
    """List videos, cut them into segments, and estimate the cost of analyzing all of them.

    A file that is not a video is listed with the reason; the others are planned. A second call adds other videos.
    """
    archive_body("plan")(**flags)
