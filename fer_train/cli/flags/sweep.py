"""The flags of fer-train sweep."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, FOLDER, Command, option

_RAY = "Ray"


@click.command(
    "sweep",
    cls=Command,
    examples=[
        (
            "every run of a plan, their ensemble and its students",
            "fer-train sweep --plan configs/sweep/gpu.yaml --data fer2013.csv --ferplus fer2013new.csv",
        ),
        (
            "spread over a Ray cluster whose nodes share this folder",
            "fer-train sweep --plan configs/sweep/gpu.yaml --data fer2013.csv --ray auto --gpus-per-run 1",
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
    "--copy-to",
    metavar="URL",
    default_text="no copies",
    section="Output",
    help="Address that fsspec opens, such as s3://bucket/sweep: all runs are copied there as they end, and checkpoints "
    "every five minutes. A sweep on another machine fetches the runs that are further than its own.",
)
@option(
    "--publish",
    type=FOLDER,
    metavar="DIR",
    section="Output",
    help="Folder that gets the table too, as sweep_<hardware>_<year>-<month>.md and .json.",
)
@option(
    "--ray",
    metavar="auto|local|HOST:PORT",
    section=_RAY,
    default_text="no Ray",
    help="Spread the runs over the Ray cluster that this machine is a node of (auto, or the head's address), as many "
    "at a time as it has room for. The nodes share this folder. Needs the extra [ray].",
)
@option(
    "--cpus-per-run",
    type=click.FloatRange(0.1),
    metavar="N",
    section=_RAY,
    default_text="1",
    help="CPUs that a run asks for.",
)
@option(
    "--gpus-per-run",
    type=click.FloatRange(0),
    metavar="N",
    section=_RAY,
    default_text="0",
    help="GPUs that a run asks for, such as 0.5. 0: it sees none.",
)
def command(**flags: Any) -> None:
    """Train every run of a plan, ensemble the best, distill students from the ensemble.

    A plan may have runs alone, without ensemble and students.

    Finished runs and epochs are kept, and the same command continues. Runs that fail do not stop the others; the exit
    code is 1 then. Without --ferplus the runs that need votes are left out. The table of all runs is OUT/sweep.md.
    """
    body("sweep")(**flags)
