"""Limits of what an artifact may lose, and scores on labelled faces: accuracy, macro-F1, recall by emotion."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import f1_score, recall_score

from fer_deploy.export.verify.slices import Slice
from fer_deploy.settings import Settings

PERCENT = 100.0
FEWEST_JUDGED = 20
"""Faces of a class from which its recall and F1 are judged: below that, one face moves the recall by five points."""
_SliceName = Annotated[Slice, Field(strict=False)]
"""A slice, or its name as YAML gives it."""


class Limits(Settings):
    """What an artifact may lose. Points are percentage points; changes are judged on labelled faces only."""

    max_abs_logit: float | None = Field(default=None, gt=0, description="largest |Δlogit|; null: not judged")
    max_abs_logit_p999: float | None = Field(default=None, gt=0, description="99.9th percentile of |Δlogit|")
    max_batch_difference: float = Field(default=0.05, gt=0, description="of a logit, between batches of 1, 7 and 64")
    max_kl: float | None = Field(default=None, gt=0, description="mean KL(PyTorch || artifact), nats")
    min_agreement: float = Field(default=1.0, ge=0, le=1, description="share of faces with the same emotion")
    max_accuracy_drop: float = Field(default=0.0, ge=0, description="points")
    max_f1_drop: float = Field(default=0.5, ge=0, description="points of macro-F1")
    max_recall_drop: float = Field(default=2.0, ge=0, description="points of any one class's recall")
    min_slice_agreement: dict[_SliceName, Annotated[float, Field(ge=0, le=1)] | None] = Field(
        default={}, description="share of faces with the same emotion, by slice; null or left out: not judged"
    )


@dataclass(frozen=True)
class Scores:
    """Scores in percent.

    Attributes:
        accuracy: share of right answers.
        macro_f1: mean F1 over the classes that have a face.
        recall: by label.
        judged_f1: macro-F1 over the classes with at least `FEWEST_JUDGED` faces; None: over all.
        num_faces: by label; empty: unknown, every class is judged.
    """

    accuracy: float
    macro_f1: float
    recall: dict[str, float]
    judged_f1: float | None = None
    num_faces: dict[str, int] = field(default_factory=dict)

    def judged_recall(self) -> Iterator[tuple[str, float, int | None]]:
        """Yield label, recall and number of faces (None: unknown) of the classes whose recall is judged."""
        are_all_rare = all(num < FEWEST_JUDGED for num in self.num_faces.values())
        for label, recall in self.recall.items():
            num = self.num_faces.get(label)
            if num is None or num >= FEWEST_JUDGED or are_all_rare:
                yield label, recall, num


def scores_of(logits: NDArray[np.float32], labels: NDArray[np.int64] | None, names: tuple[str, ...]) -> Scores | None:
    """Return the scores of (N, C) logits, or None without labels. Classes without a face are left out."""
    if labels is None:
        return None
    chosen, (present, counts) = logits.argmax(1), np.unique(labels, return_counts=True)
    recalls = recall_score(labels, chosen, labels=present, average=None, zero_division=0)
    f1 = PERCENT * f1_score(labels, chosen, labels=present, average=None, zero_division=0)
    is_judged = counts >= FEWEST_JUDGED if (counts >= FEWEST_JUDGED).any() else np.ones(len(counts), dtype=np.bool_)
    return Scores(
        accuracy=PERCENT * float((chosen == labels).mean()),
        macro_f1=float(f1.mean()),
        recall={names[label]: PERCENT * float(recall) for label, recall in zip(present, recalls, strict=True)},
        judged_f1=None if is_judged.all() else float(f1[is_judged].mean()),
        num_faces={names[label]: int(count) for label, count in zip(present, counts, strict=True)},
    )


def change_of(before: Scores | None, after: Scores | None) -> Scores | None:
    """Return what changed, in points, or None where one of the two is unknown."""
    if before is None or after is None:
        return None
    judged = None if before.judged_f1 is None or after.judged_f1 is None else after.judged_f1 - before.judged_f1
    return Scores(
        accuracy=after.accuracy - before.accuracy,
        macro_f1=after.macro_f1 - before.macro_f1,
        recall={label: after.recall[label] - value for label, value in before.recall.items()},
        judged_f1=judged,
        num_faces=before.num_faces,
    )


def broken_scores(change: Scores, limits: Limits) -> list[str]:
    """Return each broken limit in words. A limit of recall that allows any loss lets one face pass."""
    f1 = change.macro_f1 if change.judged_f1 is None else change.judged_f1
    allowed = [("accuracy", change.accuracy, limits.max_accuracy_drop), ("macro-F1", f1, limits.max_f1_drop)]
    for label, points, num in change.judged_recall():
        one_face = PERCENT / num if num and limits.max_recall_drop else 0.0
        allowed.append((f"recall of {label}", points, max(limits.max_recall_drop, one_face)))
    return [
        f"{name} {seen:+.2f} points (allowed -{limit:g})" for name, seen, limit in allowed if not seen >= -limit - 1e-9
    ]
