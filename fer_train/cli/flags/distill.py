"""The flags of fer-train distill."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import Command, option

_TEACHERS = "Teachers"


@click.command(
    "distill",
    cls=Command,
    examples=[
        (
            "a small model learns from the released one",
            "fer-train distill --config configs/train/nano-ferplus.yaml --data fer2013.csv \\\n"
            "    --ferplus fer2013new.csv --teacher weights/senet-ferplus.safetensors",
        ),
        (
            "from the teacher alone, without labels",
            "fer-train distill --config configs/train/nano-ferplus.yaml --data fer2013.csv \\\n"
            "    --teacher weights/senet-ferplus.safetensors --teacher-weight 1",
        ),
    ],
)
@option(
    "--teacher",
    "teachers",
    required=True,
    multiple=True,
    type=shared.TEXT_FILE,
    metavar="FILE",
    section=_TEACHERS,
    help="Release (.safetensors) or ensemble (.json). Repeat it for several: their answers are averaged.",
)
@option(
    "--teacher-weight",
    "weight",
    type=float,
    metavar="SHARE",
    default_text="the config's, or 0.5",
    section=_TEACHERS,
    formerly=("--weight",),
    help="Share of the teachers in the loss, 0 to 1; the labels have the rest.",
)
@option(
    "--temperature",
    type=float,
    metavar="T",
    default_text="the config's, or 2",
    section=_TEACHERS,
    help="Softens the answers; 1 leaves them as they are.",
)
@option(
    "--cached/--each-batch",
    default=None,
    default_text="the config's, or each-batch",
    section=_TEACHERS,
    help="Ask the teachers once for each face, or for each augmented batch.",
)
@shared.training(suffix="-distilled")
@shared.init
@shared.resume
def command(**flags: Any) -> None:
    """Train the config's model on the answers of teachers beside the labels. Writes what `train` writes."""
    body("distill")(**flags)
