"""The flags of fer-train ensemble."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, Command, option


@click.command(
    "ensemble",
    cls=Command,
    examples=[
        (
            "choose weights on PublicTest",
            "fer-train ensemble --checkpoint a.safetensors --checkpoint b.safetensors --data fer2013.csv \\\n"
            "    --out ensemble.json",
        ),
        (
            "then measure it, as it is, on another split",
            "fer-train ensemble --use ensemble.json --data fer2013.csv --split PrivateTest",
        ),
    ],
)
@option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=FILE,
    metavar="FILE",
    required_text="required, or --use",
    help="A release; give two or more.",
)
@option("--use", type=FILE, metavar="FILE", help="An ensemble.json to measure as it is, instead of --checkpoint.")
@option(
    "--weighting",
    "weights",
    type=click.Choice(["equal", "chosen"]),
    default=None,
    default_text="chosen",
    formerly=("--weights",),
    help="How each checkpoint gets its weight.",
)
@option("--flip", is_flag=True, help="Measure with mirror images too, and choose the weights that way.")
@shared.data
@shared.ferplus
@shared.split("Split that weights are chosen on and the ensemble is measured on.")
@option(
    "--out",
    type=FILE,
    metavar="FILE",
    required_text="required with --checkpoint",
    section="Output",
    help="The ensemble.json to write.",
)
@shared.json_flag("what was measured")
@shared.device()
def command(**flags: Any) -> None:
    """Average the probabilities of several checkpoints.

    Weights are chosen by the cross-entropy of the average on the split. Their figure there flatters them; the
    cross-fitted figure does not. Members of FER+'s labels are measured against their majority, which needs --ferplus.
    """
    body("ensemble")(**flags)
