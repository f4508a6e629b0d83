"""The flags of fer-train sweep."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, FOLDER, Command, option


@click.command(
    "sweep",
    cls=Command,
    examples=[
        (
            "every run of a plan, their ensemble and its students",
            "fer-train sweep --plan configs/sweep/gpu.yaml --data fer2013.csv --ferplus fer2013new.csv",
        ),
        ("twenty minutes of it", "fer-train sweep --plan configs/sweep/tiny.yaml --data fer2013.csv --minutes 20"),
    ],
)
@option("--plan", "plan_path", required=True, type=FILE, metavar="FILE", help="Plan in YAML; see configs/sweep/.")
@option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    metavar="MINUTES",
    help="Stop after this time; the same command continues. inf: no limit.",
)
@shared.data
@shared.ferplus
@shared.twin_rows
@option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    default_text="runs/sweep-<name of the plan>",
    section="Output",
    help="Folder of all runs.",
)
@option(
    "--publish",
    type=FOLDER,
    metavar="DIR",
    section="Output",
    help="Folder that gets the table too, as sweep_<hardware>_<year>-<month>.md and .json.",
)
def command(**flags: Any) -> None:
    """Train every run of a plan, ensemble the best, distill students from the ensemble.

    Finished runs and epochs are kept, and the same command continues. Runs that fail do not stop the others; the exit
    code is 1 then. Without --ferplus the runs that need votes are left out. The table of all runs is OUT/sweep.md.
    """
    body("sweep")(**flags)
