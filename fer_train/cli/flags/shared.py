"""Flags that several commands share. Defaults in words repeat those of the settings, and a test compares them."""

from collections.abc import Callable
from typing import Any, Final

import click

from fer_train.cli.interface import FILE, FOLDER, Decorated, option, options

_DATA, _OUTPUT, _SETTINGS = "Data", "Output", "Settings"

TEXT_FILE: Final = click.Path()
"""A path that stays text, since a config holds it."""

data = option(
    "--data",
    "data_path",
    required=True,
    type=FILE,
    metavar="PATH",
    section=_DATA,
    help="fer2013.csv, icml_face_data.csv, or a folder with train/<class>/ and test/<class>/.",
)
ferplus = option(
    "--ferplus",
    type=FILE,
    metavar="FILE",
    section=_DATA,
    help="FER+ votes (fer2013new.csv), joined row by row.",
)
twin_rows = option(
    "--twin-rows",
    type=FILE,
    metavar="FILE",
    section=_DATA,
    help="Row numbers to leave out under the clean protocol: twins of a split that this copy of the data lacks.",
)
exclude = option(
    "--exclude",
    type=FILE,
    metavar="FILE",
    section=_DATA,
    help="Training rows to leave out: exclude.csv of fer-train audit, or one number for each line.",
)


def device(default_text: str = "auto") -> Callable[[Decorated], Decorated]:
    """Return --device."""
    return option(
        "--device", metavar="DEVICE", default_text=default_text, help="Where to compute: auto, cpu, cuda or cuda:N."
    )


def split(what: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """Return --split, PublicTest by default."""
    return option(
        "--split", metavar="NAME", default="PublicTest", show_default=True, section=_DATA, help=what, **attributes
    )


def json_flag(what: str) -> Callable[[Decorated], Decorated]:
    """Return --json; `what` is printed."""
    return option("--json", "as_json", is_flag=True, section=_OUTPUT, help=f"Print one JSON object: {what}.")


def training(*, suffix: str = "") -> Callable[[Decorated], Decorated]:
    """Return the flags of every command that trains; `suffix` ends the name of its folder."""
    return options(
        option(
            "--config",
            "config_path",
            required=True,
            type=FILE,
            metavar="FILE",
            section=_SETTINGS,
            help="Settings in YAML, such as configs/train/net.yaml. Flags win.",
        ),
        option(
            "--epochs",
            "num_epochs",
            type=int,
            metavar="N",
            default_text="the config's num_epochs",
            section=_SETTINGS,
            help="Number of epochs.",
        ),
        option(
            "--quick",
            is_flag=True,
            section=_SETTINGS,
            help="Smoke test in about a minute: one epoch on a few hundred small faces, into a temporary folder "
            "unless --out is given.",
        ),
        data,
        ferplus,
        twin_rows,
        exclude,
        option(
            "--validation-split",
            metavar="NAME",
            default_text="the config's validation_split",
            section=_DATA,
            help="Split to validate on, such as test for a plain image folder.",
        ),
        option(
            "--out",
            type=FOLDER,
            metavar="DIR",
            default_text=f"runs/<name of the config>{suffix}",
            section=_OUTPUT,
            help="Folder of the run.",
        ),
        option(
            "--tensorboard/--no-tensorboard",
            default=True,
            show_default=True,
            section=_OUTPUT,
            help="Write OUT/tensorboard.",
        ),
        device("the config's device"),
    )


init = option(
    "--init",
    type=TEXT_FILE,
    metavar="FILE",
    default_text="the config's init, or random weights",
    section=_SETTINGS,
    help="Start from these weights (.safetensors): fine-tuning.",
)
resume = option("--resume", is_flag=True, section=_SETTINGS, help="Continue from OUT/last.pt.")
