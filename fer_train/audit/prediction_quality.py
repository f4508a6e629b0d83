"""Measure whether out-of-fold predictions are good enough to exclude rows."""

from dataclasses import dataclass

import numpy as np

from fer_train.audit.config import AuditConfig
from fer_train.audit.predictions import Predictions
from fer_train.data.faces import Faces

_FIX = (
    "Fix: train longer: fer-train crossval --config ... --data ... --epochs N, with a new --out; then this command "
    "with its out_of_fold.npz"
)


@dataclass(frozen=True)
class PredictionQuality:
    """Quality of predictions, as shares (0 to 1) of the faces that have one.

    Attributes:
        accuracy: share of faces whose most likely class is their label.
        majority: share of the most frequent label: the accuracy of always answering that label.
        flagged: share of faces reported as likely label errors.
        fault: why no row is excluded for its label, with the Fix; "" if the predictions are good enough.
    """

    accuracy: float
    majority: float
    flagged: float
    fault: str


def measure_predictions(
    faces: Faces, predictions: Predictions, num_flagged: int, config: AuditConfig
) -> PredictionQuality:
    """Compare predictions with the labels.

    A poor model contradicts most labels. Confident learning uses the model's confidence per class, not its accuracy,
    and would report the model's mistakes as label errors.

    Args:
        faces: the data set.
        predictions: predictions for at least one of its faces.
        num_flagged: number of these faces with a label_error finding.
        config: smallest accuracy and largest share of label errors that are credible.
    """
    labels = faces.labels[predictions.indices]
    accuracy = float((predictions.probs.argmax(axis=1) == labels).mean())
    majority = float(np.bincount(labels).max() / len(labels))
    flagged = num_flagged / len(labels)
    doubts = []
    if accuracy < config.min_accuracy:
        doubts.append(f"are right for {accuracy:.1%} of the faces (--min-accuracy {config.min_accuracy:g})")
    if accuracy < majority:
        doubts.append(f"are right less often ({accuracy:.1%}) than the most frequent label alone ({majority:.1%})")
    if flagged > config.max_flagged:
        doubts.append(f"doubt {flagged:.1%} of the labels (--max-flagged {config.max_flagged:g})")
    fault = (
        "likely label errors are in findings.csv but not in exclude.csv, because the predictions "
        f"{' and '.join(doubts)}: more likely the model is wrong than the labels. {_FIX}"
    )
    return PredictionQuality(accuracy, majority, flagged, fault if doubts else "")
