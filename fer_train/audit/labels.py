"""Find likely label errors by confident learning. Only this module imports cleanlab."""

import numpy as np
from cleanlab.filter import find_label_issues

from fer_train.audit.config import LabelFilter
from fer_train.audit.findings import Finding
from fer_train.audit.predictions import Predictions
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.readers.ferplus import VOTES
from fer_train.errors import DataError


def find_label_errors(faces: Faces, predictions: Predictions, label_filter: LabelFilter) -> list[Finding]:
    """Return label_error findings, those first whose label is furthest behind the best other class.

    Raises:
        DataError: the predicted faces all have one label, so no confusion can be measured.
    """
    labels = faces.labels[predictions.indices]
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"all predictions are for {EMOTIONS[labels[0]]!r} faces; label errors need two classes or more. "
            "Fix: cross-validate the whole training split"
        )
    probs = predictions.probs
    # n_jobs=1: seven classes take milliseconds, a process pool takes seconds.
    found = find_label_issues(
        labels, probs, filter_by=label_filter, return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    findings = []
    for i in found.tolist():
        index, given, predicted = int(predictions.indices[i]), int(labels[i]), int(probs[i].argmax())
        seen = [f"{EMOTIONS[c]} ({probs[i, c]:.2f})" for c in (given, predicted)]
        detail = f"{seen[0]}, predicted {seen[1]}{_describe_votes(faces, index)}"
        caption = f"{EMOTIONS[given]}->{EMOTIONS[predicted]}"
        findings.append(Finding(index, "label_error", detail, caption=caption))
    return findings


def _describe_votes(faces: Faces, index: int) -> str:
    """Return the most frequent FER+ votes as a third opinion; "" without votes."""
    if faces.votes is None:
        return ""
    votes = faces.votes[index]
    most = " and for ".join(VOTES[v] for v in np.flatnonzero(votes == votes.max()))
    return f"; {votes.max()} of {votes.sum()} FER+ votes for {most}"
