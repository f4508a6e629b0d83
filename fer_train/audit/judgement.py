"""What out-of-fold predictions are worth: whether they know enough to leave rows out."""

from dataclasses import dataclass

import numpy as np

from fer_train.audit.config import AuditConfig
from fer_train.audit.predictions import Predictions
from fer_train.data.faces import Faces

_MEND = (
    "Fix: train longer: fer-train crossval --config ... --data ... --epochs N, with a new --out; then this command "
    "with its out_of_fold.npz"
)


@dataclass(frozen=True)
class Judgement:
    """What predictions are worth; shares are of the faces that have one, 0 to 1.

    Attributes:
        accuracy: faces whose likeliest class is their label.
        majority: faces with the most frequent label: what always answering that label would reach.
        flagged: faces reported as likely label errors.
        fault: why no row is left out for its label, with the mend; "" where the predictions are good enough.
    """

    accuracy: float
    majority: float
    flagged: float
    fault: str


def judge(faces: Faces, predictions: Predictions, num_flagged: int, config: AuditConfig) -> Judgement:
    """Compare predictions with the labels that they doubt.

    A model that knows little is at odds with most labels. Confident learning asks how sure it is for each class, not
    whether it is right, and takes its mistakes for errors of the labels.

    Args:
        faces: the data set.
        predictions: for at least one of its faces.
        num_flagged: how many of these have a label_error finding.
        config: the least accuracy and the greatest share of label errors that are believed.
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
        f"{' and '.join(doubts)}: more likely the model errs than the labels. {_MEND}"
    )
    return Judgement(accuracy, majority, flagged, fault if doubts else "")
