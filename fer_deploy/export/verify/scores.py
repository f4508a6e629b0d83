"""Define the limits of an artifact, and compute scores on labelled faces: accuracy, macro-F1, recall by emotion."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_deploy.export.verify.slices import Slice
from fer_deploy.settings import Settings

PERCENT = 100.0
MIN_CLASS_FACES = 20
"""Smallest number of faces of a class for limits on its recall and F1: with 20, one face is five points of recall."""
_SliceName = Annotated[Slice, Field(strict=False)]
"""A slice, or its name in YAML."""


class Limits(Settings):
    """Limits of an artifact. Points are percentage points; changes are checked on labelled faces only."""

    max_abs_logit: float | None = Field(default=None, gt=0, description="largest |Δlogit|; null: no limit")
    max_abs_logit_p999: float | None = Field(default=None, gt=0, description="99.9th percentile of |Δlogit|")
    max_batch_difference: float = Field(
        default=0.05, gt=0, description="difference of a logit between batches of 1, 7 and 64"
    )
    max_kl: float | None = Field(default=None, gt=0, description="mean KL(PyTorch || artifact), nats")
    min_agreement: float = Field(default=1.0, ge=0, le=1, description="share of faces with the same emotion")
    max_accuracy_drop: float = Field(default=0.0, ge=0, description="points")
    max_f1_drop: float = Field(default=0.5, ge=0, description="points of macro-F1")
    max_recall_drop: float = Field(default=2.0, ge=0, description="points of any one class's recall")
    min_slice_agreement: dict[_SliceName, Annotated[float, Field(ge=0, le=1)] | None] = Field(
        default={}, description="share of faces with the same emotion, by slice; null or left out: no limit"
    )


@dataclass(frozen=True)
class Scores:
    """Scores in percent.

    Attributes:
        accuracy: share of right predictions.
        macro_f1: mean F1 over the classes that have a face.
        recall: recall by label.
        limited_f1: macro-F1 over the classes with at least `MIN_CLASS_FACES` faces; None: all classes.
        num_faces: number of faces by label; empty: unknown, so limits apply to every class.
    """

    accuracy: float
    macro_f1: float
    recall: dict[str, float]
    limited_f1: float | None = None
    num_faces: dict[str, int] = field(default_factory=dict)

    def limited_recall(self) -> Iterator[tuple[str, float, int | None]]:
        """Yield label, recall and number of faces (None: unknown) of the classes with a limit on recall."""
        are_all_rare = all(num < MIN_CLASS_FACES for num in self.num_faces.values())
        for label, recall in self.recall.items():
            num = self.num_faces.get(label)
            if num is None or num >= MIN_CLASS_FACES or are_all_rare:
                yield label, recall, num


def scores_of(logits: NDArray[np.float32], labels: NDArray[np.int64] | None, names: tuple[str, ...]) -> Scores | None:
    """Return the scores of (N, C) logits, or None without labels. Classes without a face are left out."""
    if labels is None:
        return None
    # Here, because only labelled faces need it: a machine that verifies saved logits has no scikit-learn.
    from sklearn.metrics import f1_score, recall_score  # noqa: PLC0415

    chosen, (present, counts) = logits.argmax(1), np.unique(labels, return_counts=True)
    recalls = recall_score(labels, chosen, labels=present, average=None, zero_division=0)
    f1 = PERCENT * f1_score(labels, chosen, labels=present, average=None, zero_division=0)
    is_limited = (
        counts >= MIN_CLASS_FACES if (counts >= MIN_CLASS_FACES).any() else np.ones(len(counts), dtype=np.bool_)
    )
    return Scores(
        accuracy=PERCENT * float((chosen == labels).mean()),
        macro_f1=float(f1.mean()),
        recall={names[label]: PERCENT * float(recall) for label, recall in zip(present, recalls, strict=True)},
        limited_f1=None if is_limited.all() else float(f1[is_limited].mean()),
        num_faces={names[label]: int(count) for label, count in zip(present, counts, strict=True)},
    )


def change_of(before: Scores | None, after: Scores | None) -> Scores | None:
    """Return the difference of two scores, in points, or None if one is unknown."""
    if before is None or after is None:
        return None
    limited = None if before.limited_f1 is None or after.limited_f1 is None else after.limited_f1 - before.limited_f1
    return Scores(
        accuracy=after.accuracy - before.accuracy,
        macro_f1=after.macro_f1 - before.macro_f1,
        recall={label: after.recall[label] - value for label, value in before.recall.items()},
        limited_f1=limited,
        num_faces=before.num_faces,
    )


def broken_scores(change: Scores, limits: Limits) -> list[str]:
    """Return a description of each exceeded limit. A nonzero limit of recall always allows one face."""
    f1 = change.macro_f1 if change.limited_f1 is None else change.limited_f1
    allowed = [("accuracy", change.accuracy, limits.max_accuracy_drop), ("macro-F1", f1, limits.max_f1_drop)]
    for label, points, num in change.limited_recall():
        one_face = PERCENT / num if num and limits.max_recall_drop else 0.0
        allowed.append((f"recall of {label}", points, max(limits.max_recall_drop, one_face)))
    return [
        f"{name} {seen:+.2f} points (allowed -{limit:g})" for name, seen, limit in allowed if not seen >= -limit - 1e-9
    ]
