"""The flags of fer-train crossval."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import Command, option


@click.command(
    "crossval",
    cls=Command,
    examples=[
        ("five folds, into runs/net-crossval", "fer-train crossval --config configs/train/net.yaml --data fer2013.csv"),
        (
            "then find likely label errors",
            "fer-train audit --data fer2013.csv --predictions runs/net-crossval/out_of_fold.npz",
        ),
    ],
)
@shared.training(suffix="-crossval")
@option(
    "--folds",
    default=5,
    show_default=True,
    type=click.IntRange(min=2),
    metavar="N",
    section="Settings",
    help="Number of parts of the training split.",
)
def command(**flags: Any) -> None:
    """Cross-validate on the training split: stratified by class, faces of equal pixels in one fold.

    Writes OUT/fold-<n>, OUT/crossval.json and OUT/out_of_fold.npz, which fer-train audit --predictions reads. A run
    that was stopped continues with the same command.
    """
    body("crossval")(**flags)
