"""The flags of fer-train sweep; its work is imported when it runs."""

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from fer_train.errors import ConfigError

_PATH = click.Path(path_type=Path)


@click.command("sweep")
@click.option("--plan", "plan_path", required=True, type=_PATH, help="YAML; see configs/sweep/.")
@click.option("--data", required=True, type=_PATH,
              help="fer2013.csv, icml_face_data.csv, or a folder with train/<class>/ and test/<class>/.")  # fmt: skip
@click.option("--ferplus", type=_PATH,
              help="FER+ votes (fer2013new.csv); without them the runs that use them are left out.")  # fmt: skip
@click.option("--twin-rows", type=_PATH,
              help="Row numbers to leave out under the clean protocol: twins of a split that is absent.")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(min=0), default=600.0, show_default=True,
              help="Stop after this time; the same command continues. inf: no limit.")  # fmt: skip
@click.option("--out", type=_PATH, help="Folder of all runs.  [default: runs/sweep-<name of the plan>]")
@click.option("--publish", type=_PATH, metavar="DIR",
              help="Folder that gets the table too, as sweep_<hardware>_<year>-<month>.md and .json; such as "
              "benchmarks/results.")  # fmt: skip
def command(minutes: float, **flags: Any) -> None:
    """Train every run of a plan, ensemble the best, distill students from the ensemble.

    Each run is `fer-train train` and `fer-train release`, with a log in the folder of the run. Finished runs and epochs
    are kept, and the same command continues. Runs that fail do not stop the others; the sweep then ends with 1. The
    table of all runs is OUT/sweep.md, and OUT/sweep.json.
    """
    if math.isnan(minutes):
        raise ConfigError("--minutes is not a number. Fix: a number of minutes, or inf for no limit")
    import_module("fer_train.sweep.command").sweep_plan(minutes=minutes, **flags)
