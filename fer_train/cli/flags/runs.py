"""The flags of fer-train runs."""

from pathlib import Path
from typing import Any

import click

from fer_train.cli.flags import body
from fer_train.cli.interface import FILE, FOLDER, Command, option


@click.command(
    "runs",
    cls=Command,
    examples=[
        ("a run and a release", "fer-train runs --run runs/senet --release weights/net.safetensors"),
        ("one more run in the same table", "fer-train runs --run runs/net --add"),
    ],
)
@option(
    "--run",
    "runs",
    multiple=True,
    type=FOLDER,
    metavar="DIR",
    help="A folder of fer-train train, with its release as DIR/release.safetensors.",
)
@option(
    "--release",
    "releases",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="Released weights without a folder: epochs are the recipe's, minutes are unknown.",
)
@option(
    "--minutes",
    multiple=True,
    metavar="RUN=NUMBER",
    help="Minutes of a run without a folder; RUN=84+20 for each of its steps, oldest first.",
)
@option("--hardware", multiple=True, metavar="RUN=TEXT", help="Hardware of a run that does not name it.")
@option("--add", is_flag=True, help="Keep the other runs of the earlier table: the newest in --publish, else --out.")
@option(
    "--out",
    type=FILE,
    metavar="FILE",
    default=Path("runs/table.md"),
    show_default=True,
    section="Output",
    help=".md to write; the same as .json beside it.",
)
@option(
    "--publish",
    type=FOLDER,
    metavar="DIR",
    section="Output",
    help="Folder that gets the table too, as runs_cpu_<year>-<month>.md and .json; such as benchmarks/results.",
)
def command(**flags: Any) -> None:
    """Make a table of training runs: recipe, epochs and minutes of all steps, accuracy of the released weights.

    A release whose figures equal those of an earlier row keeps the minutes of that row.
    """
    body("runs")(**flags)
