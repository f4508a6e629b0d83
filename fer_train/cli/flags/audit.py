"""The flags of fer-train audit."""

from typing import Any

import click

from fer_train.cli.flags import body, shared
from fer_train.cli.interface import FILE, FOLDER, Command, option

_RULES = "Rules"
_REASONS = "contradictory, leaked, near_leaked, redundant, non_face, low_contrast, label_error"
_FILTERS = [
    "low_normalized_margin",
    "low_self_confidence",
    "confident_learning",
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "predicted_neq_given",
]


@click.command(
    "audit",
    cls=Command,
    examples=[
        ("duplicates, leakage and pictures without a face", "fer-train audit --data fer2013.csv"),
        (
            "likely label errors as well, from predictions of unseen faces",
            "fer-train audit --data fer2013.csv --predictions runs/net-crossval/out_of_fold.npz",
        ),
        (
            "then train without these rows",
            "fer-train train --config configs/train/net.yaml --data fer2013.csv --exclude audit/exclude.csv",
        ),
    ],
)
@shared.data
@shared.ferplus
@option(
    "--predictions",
    "predictions_path",
    type=FILE,
    metavar="FILE",
    section="Data",
    help="out_of_fold.npz of fer-train crossval.",
)
@option(
    "--train-split", metavar="NAME", default_text="Training", section="Data", help="The split that exclude.csv cleans."
)
@option(
    "--out",
    default="audit",
    show_default=True,
    type=FOLDER,
    metavar="DIR",
    section="Output",
    help="A folder of its own for audit.md and exclude.csv.",
)
@option(
    "--exclude-reasons",
    metavar="A,B,...",
    section="Output",
    default_text="all but low_contrast",
    help=f"Reasons for which exclude.csv lists a row: {_REASONS}; or none.",
)
@option(
    "--near-threshold",
    type=float,
    metavar="CORRELATION",
    default_text="0.99",
    section=_RULES,
    help="Correlation of 16x16 thumbnails from which two faces are one photo. In FER2013 all of 240 pairs looked "
    "at, down to 0.97, were one.",
)
@option(
    "--blank-range",
    type=int,
    metavar="LEVELS",
    default_text="10",
    section=_RULES,
    help="An image that spans fewer gray levels (5th to 95th percentile) is no face.",
)
@option(
    "--contrast-range",
    type=int,
    metavar="LEVELS",
    default_text="50",
    section=_RULES,
    help="An image that spans fewer gray levels has low contrast.",
)
@option(
    "--label-filter",
    type=click.Choice(_FILTERS),
    metavar="RULE",
    default_text="low_normalized_margin",
    section=_RULES,
    help=f"cleanlab's rule for a label error: {', '.join(_FILTERS)}.",
)
@option(
    "--min-accuracy",
    type=float,
    metavar="SHARE",
    default_text="0.5",
    section=_RULES,
    help="Predictions that are right less often, 0 to 1, are reported but leave no row out for its label.",
)
@option(
    "--max-flagged",
    type=float,
    metavar="SHARE",
    default_text="0.35",
    section=_RULES,
    help="The same for predictions that doubt a greater share of the labels. Predictions that are right for 67 % "
    "of PublicTest doubt 16 to 26 % of it.",
)
def command(**flags: Any) -> None:
    """Find duplicates, leakage, non-faces and likely label errors. Writes OUT/audit.md and OUT/exclude.csv."""
    body("audit")(**flags)
