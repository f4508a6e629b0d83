"""The flags of fer-train train."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import Command, option


@click.command(
    "train",
    cls=Command,
    examples=[
        (
            "does everything work? about a minute",
            "fer-train train --config configs/train/net.yaml --data fer2013.csv --quick",
        ),
        ("one run, into runs/net", "fer-train train --config configs/train/net.yaml --data fer2013.csv"),
        (
            "continue a run that was stopped",
            "fer-train train --config configs/train/net.yaml --data fer2013.csv --resume",
        ),
        (
            "five seeds, with mean and deviation",
            "fer-train train --config configs/train/net.yaml --data fer2013.csv --seeds 0..4",
        ),
        (
            "two GPUs",
            "torchrun --nproc-per-node 2 -m fer_train train --config configs/train/net.yaml --data fer2013.csv",
        ),
    ],
)
@shared.training()
@shared.init
@shared.resume
@option(
    "--seeds",
    metavar="SEEDS",
    default_text="the config's seed, once",
    section="Settings",
    help="Train once for each seed, 0..4 or 0,1,7, into OUT/seed-<n>. With --resume each run continues by itself.",
)
def command(**flags: Any) -> None:
    """Train one model, or one for each seed.

    Writes OUT/best.safetensors, OUT/final.safetensors, OUT/last.pt, history, pictures and TensorBoard events.
    """
    body("train")(**flags)
