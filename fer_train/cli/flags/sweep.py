"""The flags of fer-train sweep."""

import math
from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, FOLDER, Command, option
from fer_train.errors import ConfigError


@click.command(
    "sweep",
    cls=Command,
    examples=[
        (
            "an hour on a GPU; the same command continues",
            "fer-train sweep --plan configs/sweep/gpu.yaml --data fer2013.csv --ferplus fer2013new.csv --minutes 55",
        ),
        ("does every part work?", "fer-train sweep --plan configs/sweep/tiny.yaml --data fer2013.csv"),
    ],
)
@option("--plan", "plan_path", required=True, type=FILE, metavar="FILE", help="YAML; see configs/sweep/.")
@option(
    "--minutes",
    type=click.FloatRange(min=0),
    metavar="N",
    default=600.0,
    show_default=True,
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
    help="Folder of all runs and of the table, sweep.md and sweep.json.",
)
@option(
    "--publish",
    type=FOLDER,
    metavar="DIR",
    section="Output",
    help="Folder that gets the table too, as sweep_<hardware>_<year>-<month>.md and .json; such as benchmarks/results.",
)
def command(minutes: float, data_path: Any, **flags: Any) -> None:
    """Train every run of a plan, ensemble the best, distill students from the ensemble.

    Each run is `fer-train train` and `fer-train release`, with a log in the folder of the run. Finished runs and epochs
    are kept, and the same command continues. Runs that fail do not stop the others; the sweep then ends with 1. Without
    --ferplus the runs that use the votes are left out.
    """
    if math.isnan(minutes):
        raise ConfigError("--minutes is not a number. Fix: a number of minutes, or inf for no limit")
    body("sweep")(data=data_path, minutes=minutes, **flags)
