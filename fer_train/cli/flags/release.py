"""The flags of fer-train release."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, FOLDER, Command, option

_OUTPUT = "Output"


@click.command(
    "release",
    cls=Command,
    examples=[
        (
            "fp16 weights and their model card net.md",
            "fer-train release --checkpoint runs/net/final.safetensors --data fer2013.csv --out net.safetensors",
        ),
        (
            "which flags help: a table, no file",
            "fer-train release --checkpoint runs/net/final.safetensors --data fer2013.csv --choices",
        ),
        (
            "measured on both splits, with pictures",
            "fer-train release --checkpoint runs/net/final.safetensors --data fer2013.csv --out net.safetensors \\\n"
            "    --split PublicTest --split PrivateTest --plots plots",
        ),
    ],
)
@option(
    "--checkpoint",
    "checkpoint_path",
    required=True,
    type=FILE,
    metavar="FILE",
    help="final.safetensors or best.safetensors of a run.",
)
@option("--recalibrate", is_flag=True, help="Measure batch-norm statistics again, on training faces as they are.")
@option(
    "--logit-adjustment",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Favor rare classes by this share of their log prior; 0.3 raises macro F1.",
)
@option("--ten-crop", is_flag=True, help="Also measure the mean over ten crops of each face.")
@shared.data
@shared.ferplus
@shared.twin_rows
@shared.exclude
@option(
    "--split",
    "splits",
    multiple=True,
    default=("PublicTest",),
    show_default=True,
    metavar="NAME",
    section="Data",
    help="Split to measure on and to write into the release. Repeat it for several.",
)
@option(
    "--choices",
    "shows_choices",
    is_flag=True,
    section=_OUTPUT,
    help="Write nothing: print what --recalibrate and --logit-adjustment are worth on the first --split.",
)
@option(
    "--out",
    type=FILE,
    metavar="FILE",
    required_text="required, or --choices",
    section=_OUTPUT,
    help="The .safetensors to write; the card is written beside it, as .md.",
)
@option("--fp32", is_flag=True, section=_OUTPUT, help="Keep the weights in single precision, for twice the size.")
@option("--notes", type=FILE, metavar="FILE", section=_OUTPUT, help="Markdown of your own that the card ends with.")
@option(
    "--plots",
    type=FOLDER,
    metavar="DIR",
    section=_OUTPUT,
    help="Write the pictures of fer-train evaluate --plots into this folder.",
)
@shared.device()
def command(**flags: Any) -> None:
    """Write fp16 weights with their measures in the ModelSpec, a model card and a picture of degraded faces beside it.

    The temperature is fitted on the first split: probabilities are softmax(logits / temperature). A model of FER+'s
    labels is measured against their majority, which needs --ferplus.
    """
    body("release")(**flags)
