"""The flags of fer-train soup."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, Command, option


@click.command(
    "soup",
    cls=Command,
    examples=[
        (
            "the mean of two runs",
            "fer-train soup --checkpoint runs/a/final.safetensors --checkpoint runs/b/final.safetensors \\\n"
            "    --data fer2013.csv --out soup.safetensors",
        ),
        (
            "keep only those that help",
            "fer-train soup --checkpoint runs/a/final.safetensors --checkpoint runs/b/final.safetensors \\\n"
            "    --checkpoint runs/c/final.safetensors --data fer2013.csv --greedy --out soup.safetensors",
        ),
    ],
)
@option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=FILE,
    metavar="FILE",
    required_text="required",
    help="Of a run, or a release; give two or more, fine-tuned from one release.",
)
@option(
    "--weights",
    multiple=True,
    type=float,
    metavar="SHARE",
    default_text="equal",
    help="Share of each checkpoint in the mean, in the order of --checkpoint; their sum is 1.",
)
@option("--greedy", is_flag=True, help="The best first; keep those with which validation accuracy does not fall.")
@option(
    "--batch-norm",
    type=click.Choice(["measure", "mean"]),
    default="measure",
    show_default=True,
    help="Measure its statistics on the training faces, or take the mean of the checkpoints' own: for steps of one "
    "run that saw degraded faces.",
)
@shared.data
@shared.ferplus
@shared.twin_rows
@shared.exclude
@option(
    "--out",
    required=True,
    type=FILE,
    metavar="FILE",
    section="Output",
    help="The .safetensors to write, for release, evaluate and export.",
)
@shared.device()
def command(**flags: Any) -> None:
    """Average the weights of several fine-tuned checkpoints into one model, which costs no more to run than one.

    Batch-norm statistics are measured again on the training faces, unless --batch-norm mean is given: give the
    --twin-rows and --exclude of the runs. Models of FER+'s labels are measured against their majority, which needs
    --ferplus.
    """
    body("soup")(**flags)
