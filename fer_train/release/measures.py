"""Measure a release: temperature, accuracy by split and label set, and accuracy on degraded faces."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from fer_train.data.consensus import shares_of
from fer_train.data.faces import Faces, has_classes_of, own_label_set
from fer_train.data.label_columns import align_logits
from fer_train.data.splits import take_split
from fer_train.errors import DataError
from fer_train.evaluation.degradation import measure_degraded
from fer_train.evaluation.evaluate import Evaluation, evaluate_split, measured_classes
from fer_train.evaluation.second_opinion import second_opinion
from fer_train.evaluation.temperature import Calibrated, fit_calibration
from fer_train.evaluation.views import VIEWS, OnBatch, predict_logits, require_finite

WITH_VOTES_ALONE = ("other_labels", "second_opinion")
"""Keys of the provenance that a release without FER+'s votes does not measure."""


@dataclass(frozen=True)
class ReleaseMeasures:
    """Values to add to a ModelSpec.

    Attributes:
        spec: `temperature`, `unsure_below` and `metrics`, for the ModelSpec itself.
        provenance: `calibration`, `degraded` and, with votes, `other_labels` and, against FER2013's labels,
            `second_opinion`, for its provenance.
    """

    spec: dict[str, Any]
    provenance: dict[str, Any]


def measure_release(
    model: nn.Module,
    faces: Faces,
    splits: tuple[str, ...],
    *,
    spec: dict[str, Any],
    ten_crop: bool,
    progress: Callable[[str], AbstractContextManager[OnBatch]],
) -> tuple[list[Evaluation], ReleaseMeasures]:
    """Fit the temperature on the first split, then measure every split.

    Args:
        model: the model as stored in its file, on the device to measure on.
        faces: all splits of the data, with votes for a model of FER+'s labels.
        splits: names of the splits to measure.
        spec: the current ModelSpec.
        ten_crop: whether to measure the mean over ten crops too.
        progress: context manager that shows a progress bar with the given name.

    Returns:
        The evaluations against the model's own labels, and the values to add to the ModelSpec.
    """
    own = own_label_set(spec)
    calibrated = fit_temperature(model, take_split(faces, splits[0]), splits[0], spec=spec)
    spec = spec | {"temperature": round(calibrated.temperature, 4), "unsure_below": calibrated.unsure_below}
    views = VIEWS if ten_crop else ("plain", "flip")
    measured, others = [], {}
    for split in splits:
        with progress(f"{split}, {', '.join(views)}") as on_batch:
            measured.append(
                evaluate_split(model, faces, split, spec=spec, label_set=own, views=views, on_batch=on_batch)
            )
        if faces.votes is not None and has_classes_of("ferplus", spec["labels"]):
            other = "fer2013" if own == "ferplus" else "ferplus"
            seen = evaluate_split(model, faces, split, spec=spec, label_set=other, views=("plain",))
            others[split] = {"label_set": other, **seen.for_spec()["plain"]}
    with progress("degraded faces") as on_batch:
        degraded = measure_degraded(model, faces, splits[0], spec=spec, label_set=own, on_batch=on_batch)
    added = {name: spec[name] for name in ("temperature", "unsure_below")}
    added["metrics"] = {evaluation.split: evaluation.for_spec() for evaluation in measured}
    opinions = {evaluation.split: second_opinion(evaluation) for evaluation in measured}
    provenance = {
        "calibration": calibrated.to_dict(),
        "degraded": {"split": splits[0], "label_set": own, "rows": [row.to_dict() for row in degraded]},
        **({"other_labels": others} if others else {}),
        **({"second_opinion": asked} if (asked := {s: o.to_dict() for s, o in opinions.items() if o}) else {}),
    }
    return measured, ReleaseMeasures(added, provenance)


def fit_temperature(model: nn.Module, chosen: Faces, split: str, *, spec: dict[str, Any]) -> Calibrated:
    """Fit the temperature of a model on the faces of one split, against its own labels.

    A model of FER+'s labels is fitted to the shares of the votes, on every face in which most taggers saw an emotion.
    Its confidence is then the share of people who would choose the same emotion.

    Raises:
        DataError: the votes name no emotion for any face of the split.
    """
    own, wanted = own_label_set(spec), spec["input"]
    if own == "ferplus" and chosen.votes is not None:
        names = spec["labels"]
        keep, targets = shares_of(chosen.votes, names)
        if not keep.any():
            raise DataError(f"FER+'s votes name no emotion for any face of {split}. Fix: the votes of this data")
        chosen = chosen.select(keep)
    else:
        names = measured_classes(spec["labels"], chosen, split)
        targets = np.eye(len(names), dtype=np.float32)[chosen.labels]
    logits = predict_logits(
        model,
        chosen.resized(wanted["height"]).images,
        device=next(model.parameters()).device,
        mean_std=(wanted["mean"], wanted["std"]),
    )
    require_finite([logits])
    return fit_calibration(align_logits(logits, spec["labels"], names), targets, split=split, against=own)
