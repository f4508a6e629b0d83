"""The flags of fer-train evaluate."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, FOLDER, Command, option

_OUTPUT = "Output"


@click.command(
    "evaluate",
    cls=Command,
    examples=[
        (
            "accuracy, F1 and calibration on PublicTest",
            "fer-train evaluate --checkpoint weights/senet.safetensors --data fer2013.csv",
        ),
        (
            "against FER+'s taggers as well, with pictures",
            "fer-train evaluate --checkpoint weights/senet-ferplus.safetensors --data fer2013.csv \\\n"
            "    --ferplus fer2013new.csv --plots plots",
        ),
        (
            "the final measurement of a model that is finished",
            "fer-train evaluate --checkpoint weights/senet.safetensors --data fer2013.csv --split PrivateTest",
        ),
    ],
)
@option(
    "--checkpoint", "checkpoint_path", required=True, type=FILE, metavar="FILE", help="The .safetensors to measure."
)
@shared.data
@shared.ferplus
@option(
    "--labels",
    "label_set",
    type=click.Choice(["fer2013", "ferplus"]),
    section="Data",
    default_text="both with --ferplus, else fer2013",
    help="Whose labels count: FER2013's, or the majority of FER+'s ten taggers (needs --ferplus).",
)
@shared.split("Split to measure on. PrivateTest is for one final measurement.")
@option("--ten-crop", is_flag=True, help="Also the mean over ten crops of each face, for ten times the work.")
@shared.json_flag(
    "checkpoint, split, label_set, why_not_clean, and views.<view>.<protocol> with num_faces, loss, accuracy, f1, "
    "precision, recall, ece, brier, accuracy_interval, f1_interval, per_class, confusion; the same for each label set "
    "under labels.<fer2013|ferplus>, with the fit to the votes"
)
@option(
    "--confusion",
    type=FILE,
    metavar="FILE",
    section=_OUTPUT,
    help="Write the confusion matrix as PNG: view plain, protocol official.",
)
@option(
    "--plots",
    type=FOLDER,
    metavar="DIR",
    section=_OUTPUT,
    help="Write confusion matrix, reliability diagram and precision-recall curves into this folder.",
)
@option(
    "--save-predictions",
    "predictions",
    type=FILE,
    metavar="FILE",
    section=_OUTPUT,
    formerly=("--predictions",),
    help="Write rows, labels and probs (N, C) float32 of the plain view, as .npz.",
)
@shared.device()
def command(**flags: Any) -> None:
    """Measure a checkpoint on one split.

    Labels: FER2013's own, and the majority of FER+'s ten taggers by the protocol of its authors (votes of one tagger
    are dropped, the top class needs more than half, unknown and not-a-face are left out). The two agree for 67 % of
    these faces, so a number means little without its labels.

    Views: plain is each face as it is, flip the mean with its mirror image. Protocols: official is every face of the
    split; clean leaves out the faces whose pixels are also in the training split. A model that was trained under the
    clean protocol never saw these twins, so its official number is not inflated by them. A model that was trained on
    every row has seen their answers, and only its clean number is honest.
    """
    body("evaluate")(**flags)
