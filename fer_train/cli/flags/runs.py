"""The flags of fer-train runs."""

from typing import Any

import click

from fer_train.cli.flags import body
from fer_train.cli.interface import FILE, FOLDER, Command, option


@click.command(
    "runs",
    cls=Command,
    examples=[
        ("a table of two runs", "fer-train runs --run runs/net --run runs/senet --out runs/table.md"),
        ("another run of the same name", "fer-train runs --run net2=elsewhere/net --add"),
        ("a run whose folder is gone", "fer-train runs --release weights/net.safetensors --took net=84+20"),
    ],
)
@option(
    "--run",
    "runs",
    multiple=True,
    type=FOLDER,
    metavar="DIR",
    required_text="required, or --release",
    help="A folder of fer-train train; NAME=DIR gives the run another name. Figures are those of "
    "DIR/release.safetensors, without it those of the last epoch's validation. Repeat it for several.",
)
@option(
    "--release",
    "releases",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="Released weights without a folder: epochs are the recipe's, minutes are unknown. Or NAME=FILE.",
)
@option(
    "--took",
    "minutes",
    multiple=True,
    metavar="RUN=MINUTES",
    default_text="unknown",
    formerly=("--minutes",),
    help="Minutes of a run without a folder; RUN=84+20 for each of its steps, oldest first.",
)
@option(
    "--hardware",
    multiple=True,
    metavar="RUN=TEXT",
    default_text="what the run names",
    help="Hardware of a run that does not name it.",
)
@option(
    "--add",
    is_flag=True,
    help="Keep the other runs of the earlier table: of the newest one in --publish, else of --out.",
)
@option(
    "--out",
    type=FILE,
    default="runs/table.md",
    show_default=True,
    metavar="FILE",
    section="Output",
    help="The .md to write; the same is written beside it as .json.",
)
@option(
    "--publish",
    type=FOLDER,
    metavar="DIR",
    section="Output",
    help="Folder that gets the table too, as runs_cpu_<year>-<month>.md and .json.",
)
def command(**flags: Any) -> None:
    """Make a table of training runs: recipe, epochs and minutes of all steps, accuracy.

    Runs that were stopped or not released are marked. A release whose figures equal those of an earlier row keeps the
    minutes of that row. A row of --add is replaced by the same run alone.
    """
    body("runs")(**flags)
