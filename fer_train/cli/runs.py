"""The flags of fer-train runs; its work is imported when it runs."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)


@click.command("runs")
@click.option("--run", "runs", multiple=True, type=_PATH, metavar="DIR",
              help="A folder of fer-train train, with its release as DIR/release.safetensors.")  # fmt: skip
@click.option("--release", "releases", multiple=True, type=_PATH, metavar="FILE",
              help="Released weights without a folder: epochs are the recipe's, minutes are unknown.")  # fmt: skip
@click.option("--minutes", multiple=True, metavar="RUN=NUMBER",
              help="Minutes of a run without a folder; RUN=84+20 for each of its steps, oldest first.")  # fmt: skip
@click.option("--hardware", multiple=True, metavar="RUN=TEXT", help="Hardware of a run that does not name it.")
@click.option("--add", is_flag=True, help="Keep the other runs of the earlier table: of the newest one in --publish, "
                                          "else of --out.")  # fmt: skip
@click.option("--out", type=_PATH, default=Path("runs/table.md"), show_default=True,
              help=".md to write; the same as .json beside it.")  # fmt: skip
@click.option("--publish", type=_PATH, metavar="DIR",
              help="Folder that gets the table too, as runs_cpu_<year>-<month>.md and .json; such as "
              "benchmarks/results.")  # fmt: skip
def command(**flags: Any) -> None:
    """Make a table of training runs: recipe, epochs and minutes of all steps, accuracy of the released weights.

    A release whose figures equal those of an earlier row keeps the minutes of that row.
    """
    import_module("fer_train.sweep.runs").tabulate_runs(**flags)
