"""The flags of fer-deploy agree."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, Command, option


@click.command(
    "agree",
    cls=Command,
    examples=[
        ("one video", "fer-deploy agree results/interview codes.csv"),
        (
            "all videos of an analysis, with a picture of the confusion",
            "fer-deploy agree results codes.csv --png a.png",
        ),
    ],
)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=FILE,
    metavar="RESULT... CODES.csv",
    help="Folders of fer-deploy analyze or tables of faces, and last the codes.",
)
@shared_flags.json_flag("the agreement")
@option("--png", type=FILE, metavar="FILE", section="Output", help="Draw the confusion of codes and results.")
@option(
    "--samples",
    type=click.IntRange(100, 1_000_000),
    metavar="N",
    default=2000,
    show_default=True,
    help="Bootstrap samples of people, for the intervals.",
)
@option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Seed of the bootstrap.")
def command(**flags: Any) -> None:
    """Compare results with human codes: Cohen's kappa, recall, confusion, with intervals by person.

    CODES.csv has a header with label, and video, person or track, and frame, time_s, or start_s and end_s. A box
    (x1, y1, x2, y2) can say whose face it is.
    """
    body("agree")(**flags)
