"""Measure a model on one split: in the requested views, on all of its faces and on those without a twin.

official    every face of the split, as in published numbers
clean       without the faces whose identical pixels also appear in the training split of the same data: a model
            that was trained on them has seen the label (PublicTest: 280 of 3,589)

A model trained under the clean protocol (`protocol: clean`) never saw those twins, because they were removed from its
training rows, so they do not inflate its official number. Compare models of different protocols by the clean number.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_train.data.consensus import NO_MAJORITY, majority_labels, require_votes, shares_of
from fer_train.data.faces import FERPLUS_EMOTIONS, LABEL_SETS, Faces, has_classes_of, labels_in_words
from fer_train.data.label_columns import align_logits
from fer_train.data.splits import pixel_hashes, take_split
from fer_train.errors import DataError
from fer_train.evaluation.metrics import Metrics, VoteFit, fit_to_votes, measure, probs_from_logits
from fer_train.evaluation.views import BATCH_SIZE, OnBatch, ignore_batch, predict_logits, predict_views, require_finite
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

PROTOCOLS = ("official", "clean")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of a model for one split.

    Attributes:
        split: name of the split.
        names: class names, by label.
        faces: the measured faces of the split, at the size of the model, with the labels of `faces.label_set`.
        logits: (N, C) float32 by view, divided by the model's temperature.
        is_clean: (N,) bool, faces without a twin in the training split; None if unknown.
        why_not_clean: the reason for None, else empty.
        votes: by view, how well the predictions fit the votes of FER+'s taggers; empty without votes.
    """

    split: str
    names: list[str]
    faces: Faces
    logits: dict[str, NDArray[np.float32]]
    is_clean: NDArray[np.bool_] | None
    why_not_clean: str
    votes: dict[str, VoteFit] = field(default_factory=dict)

    @property
    def label_set(self) -> str:
        """Return the label set of the measurement: "fer2013" or "ferplus"."""
        return self.faces.label_set

    @property
    def in_words(self) -> str:
        """Return the label set of the measurement, for titles."""
        return labels_in_words(self.label_set, self.names)

    @cached_property
    def metrics(self) -> dict[str, dict[str, Metrics | None]]:
        """Return the metrics by view and protocol; None for "clean" if it is not measurable."""
        return {view: self._by_protocol(logits) for view, logits in self.logits.items()}

    def official(self, view: str = "plain") -> Metrics:
        """Return the metrics of one view on every face of the split."""
        metrics = self.metrics[view]["official"]
        assert metrics is not None  # only "clean" may be None
        return metrics

    def probs(self, view: str = "plain") -> NDArray[np.float32]:
        """Return probabilities (N, C) of one view."""
        return probs_from_logits(self.logits[view])

    def for_spec(self) -> dict[str, dict[str, Any]]:
        """Return the value of `metrics[split]` in a ModelSpec: by view, the official metrics.

        The key "clean" of a view holds the clean metrics, if they are measurable; the key "votes" holds the fit to
        FER+'s votes, if there are any.
        """
        return {
            view: self.official(view).to_dict()
            | ({} if clean is None else {"clean": clean.to_dict()})
            | ({"votes": asdict(self.votes[view])} if view in self.votes else {})
            for view, clean in ((view, self.metrics[view]["clean"]) for view in self.logits)
        }

    def _by_protocol(self, logits: NDArray[np.float32]) -> dict[str, Metrics | None]:
        labels, keep = self.faces.labels, self.is_clean
        return {
            "official": measure(logits, labels, names=self.names),
            "clean": None if keep is None else measure(logits[keep], labels[keep], names=self.names),
        }


Predict = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]
"""Function from gray faces (N, S, S) uint8 to the model's raw logits (N, num_labels) float32 by view."""


def evaluate_split(
    model: nn.Module,
    faces: Faces,
    split: str,
    *,
    spec: dict[str, Any],
    label_set: str | None = None,
    views: Sequence[str] = ("plain", "flip"),
    on_batch: OnBatch = ignore_batch,
) -> Evaluation:
    """Run a model, in float32, on every face of a split.

    Args:
        model: model on the device to run on.
        faces: see `evaluate_predictions`.
        split: split to measure.
        spec: the model's ModelSpec.
        label_set: see `evaluate_predictions`.
        views: see `fer_train.evaluation.views`.
        on_batch: progress; see `OnBatch`.

    Raises:
        SplitAbsentError, DataError, CheckpointError: see `evaluate_predictions`.
    """
    wanted = spec["input"]

    def predict(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return predict_views(
            model,
            images,
            views=views,
            device=next(model.parameters()).device,
            mean_std=(wanted["mean"], wanted["std"]),
            on_batch=on_batch,
        )

    return evaluate_predictions(predict, faces, split, spec=spec, label_set=label_set)


def evaluate_predictions(
    predict: Predict, faces: Faces, split: str, *, spec: dict[str, Any], label_set: str | None = None
) -> Evaluation:
    """Measure what any runtime predicts for every face of a split.

    The model's columns are matched with the label set by name: a class of the model that the labels lack is dropped,
    a label that the model lacks is never predicted.

    Args:
        predict: see `Predict`; it is called once.
        faces: all splits of the data; twins are searched in the split that the model was trained on.
        split: split to measure.
        spec: the model's ModelSpec: size, class names, temperature and the name of its training split.
        label_set: "ferplus" measures against the majority of FER+'s taggers, on the faces that have one (see
            `consensus`); None and the faces' own label set measure against their current labels.

    Raises:
        SplitAbsentError: the data have no such split.
        DataError: the model lacks a label, or the faces have no votes; raised before `predict` is called.
        CheckpointError: logits are not finite.
    """
    everyone = take_split(faces, split)
    labelled = everyone
    if label_set == "ferplus" and not has_classes_of("ferplus", spec["labels"]):
        raise DataError(
            f"the model has {', '.join(spec['labels'])}; FER+'s taggers chose among {', '.join(FERPLUS_EMOTIONS)}. "
            "Fix: --labels fer2013, which measures against the labels of the data"
        )
    if label_set == "ferplus" != everyone.label_set:
        labels = majority_labels(require_votes(everyone))
        if not (labels != NO_MAJORITY).any():
            raise DataError(f"FER+'s votes give no face of {split} a majority. Fix: the votes of this data")
        labelled = replace(everyone, labels=labels, label_set="ferplus")
    measured = labelled.labels != NO_MAJORITY
    names = measured_classes(spec["labels"], labelled, split)
    is_clean, why_not = _clean_or_why(faces, split, spec)
    resized = labelled.resized(spec["input"]["height"])
    logits = predict(resized.images)
    require_finite(logits.values())
    logits = {view: found / np.float32(spec.get("temperature", 1.0)) for view, found in logits.items()}
    return Evaluation(
        split=split,
        names=names,
        faces=resized.select(measured),
        logits={view: align_logits(found[measured], spec["labels"], names) for view, found in logits.items()},
        is_clean=None if is_clean is None else is_clean[measured],
        why_not_clean=why_not,
        votes=_fit_to_votes(logits, everyone, spec["labels"]),
    )


def measured_classes(known: list[str], faces: Faces, split: str) -> list[str]:
    """Return the class names of the faces' labels, in order, for a model with the classes `known`.

    Raises:
        DataError: the faces have a label that the model lacks.
    """
    is_known = has_classes_of(faces.label_set, known)
    names = list(LABEL_SETS[faces.label_set]) if is_known else known  # else the user's own classes, by number
    if (highest := int(faces.labels.max())) >= len(names):
        raise DataError(
            f"{split} has label {highest}, the model has {len(known)} classes, 0 to {len(known) - 1}. "
            "Fix: a model that was trained on these classes"
        )
    return names


def _clean_or_why(faces: Faces, split: str, spec: dict[str, Any]) -> tuple[NDArray[np.bool_] | None, str]:
    train_split = spec["provenance"].get("config", {}).get("train_split", "Training")
    try:
        return mark_clean(faces, split, train_split=train_split), ""
    except DataError as err:
        return None, str(err)


def _fit_to_votes(logits: dict[str, NDArray[np.float32]], faces: Faces, names: list[str]) -> dict[str, VoteFit]:
    if faces.votes is None or not set(names) <= set(FERPLUS_EMOTIONS):
        return {}
    voted, shares = shares_of(faces.votes, names)
    if not voted.any():
        return {}
    return {view: fit_to_votes(found[voted], shares) for view, found in logits.items()}


def mark_clean(faces: Faces, split: str, *, train_split: str) -> NDArray[np.bool_]:
    """Return (n,) bool for the faces of `split`: True if no face of `train_split` has the same pixels.

    Raises:
        DataError: the data do not contain the answer, or no face is left; the message is the reason.
    """
    if split == train_split:
        raise DataError(f"{split} is the training split itself")
    training = faces.images[faces.splits == train_split]
    if not len(training):
        raise DataError(f"this copy of the data has no split {train_split!r} to look for twins in")
    is_clean = ~np.isin(pixel_hashes(faces.images[faces.splits == split]), pixel_hashes(training))
    if not is_clean.any():
        raise DataError(f"every face of {split} also appears in {train_split}")
    return np.asarray(is_clean)


def evaluate(
    model: nn.Module,
    faces: Faces,
    *,
    device: torch.device,
    flip: bool = False,
    dtype: torch.dtype = torch.float32,
    mean_std: tuple[float, float] = (PIXEL_MEAN, PIXEL_STD),
) -> Metrics:
    """Measure a model on faces of its own input size; see `predict_logits` and `measure`."""
    logits = predict_logits(model, faces.images, device=device, flip=flip, dtype=dtype, mean_std=mean_std)
    return measure(logits, faces.labels)


__all__ = [
    "BATCH_SIZE",
    "PROTOCOLS",
    "Evaluation",
    "Metrics",
    "evaluate",
    "evaluate_predictions",
    "evaluate_split",
    "mark_clean",
    "measure",
    "predict_logits",
]
