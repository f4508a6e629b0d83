"""Measure a model on one split: in every view asked for, on all of its faces and on those without a twin.

official    every face of the split, as published numbers are
clean       without the faces whose pixels also stand, identically, in the training split of the same data: a model
            that was trained on them has seen the answer (PublicTest: 280 of 3,589)

A model trained under the clean protocol (`protocol: clean`) never saw those twins, for they were taken out of its
training rows; its official number is not inflated by them. The clean number is the one by which models of
either protocol can be compared.
"""

from collections.abc import Sequence
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
    """What a model said about one split.

    Attributes:
        split: the name of the split.
        names: of the classes, by label.
        faces: the measured faces of the split, at the size of the model; `faces.label_set` tells whose labels count.
        logits: by view, (N, C) float32, divided by the model's temperature.
        is_clean: (N,) bool, faces without a twin in the training split; None where that cannot be told.
        why_not_clean: the reason for None, else empty.
        votes: by view, how well the answers fit the votes of FER+'s taggers; empty without votes.
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
        """Whose labels the measures are against: "fer2013" or "ferplus"."""
        return self.faces.label_set

    @property
    def in_words(self) -> str:
        """Whose labels the measures are against, for titles."""
        return labels_in_words(self.label_set, self.names)

    @cached_property
    def metrics(self) -> dict[str, dict[str, Metrics | None]]:
        """The measures by view and protocol; None for "clean" where it is not measurable."""
        return {view: self._by_protocol(logits) for view, logits in self.logits.items()}

    def official(self, view: str = "plain") -> Metrics:
        """Return the measures of one view on every face of the split."""
        metrics = self.metrics[view]["official"]
        assert metrics is not None  # only "clean" may be
        return metrics

    def probs(self, view: str = "plain") -> NDArray[np.float32]:
        """Return probabilities (N, C) of one view."""
        return probs_from_logits(self.logits[view])

    def for_spec(self) -> dict[str, dict[str, Any]]:
        """Return what a ModelSpec keeps as `metrics[split]`: official measures by view, in each the clean ones.

        The clean ones are under the key "clean", which is absent where they are not measurable; the fit to FER+'s
        votes is under "votes", where there are any.
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
    """Ask a model, in float32, about every face of a split.

    The model's columns are matched with the label set by name: a class of the model that the labels lack is left out
    of its answer, a label that the model lacks is never its answer.

    Args:
        model: on the device where it shall run.
        faces: all splits of the data; twins are looked for in the one that the model was trained on.
        split: the one to measure.
        spec: the model's ModelSpec: size, normalization, class names, temperature and the name of its training split.
        label_set: "ferplus" measures against the majority of FER+'s taggers, on the faces that have one (see
            `consensus`); None and the faces' own set measure against the labels as they are.
        views: see `fer_train.evaluation.views`.
        on_batch: progress; see `OnBatch`.

    Raises:
        SplitAbsentError: the data have no such split.
        DataError: a label that the model does not know, or no votes; said before the model runs.
        CheckpointError: answers that are not finite.
    """
    everyone = take_split(faces, split)
    labelled = everyone
    if label_set == "ferplus" and not has_classes_of("ferplus", spec["labels"]):
        raise DataError(
            f"the model knows {', '.join(spec['labels'])}; FER+'s taggers chose among {', '.join(FERPLUS_EMOTIONS)}. "
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
    wanted = spec["input"]
    resized = labelled.resized(wanted["height"])
    logits = predict_views(
        model,
        resized.images,
        views=views,
        device=next(model.parameters()).device,
        mean_std=(wanted["mean"], wanted["std"]),
        on_batch=on_batch,
    )
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
    """Return the names of the classes that faces are labelled with, in order, for a model that knows `known`.

    Raises:
        DataError: a label that the model does not know.
    """
    is_known = has_classes_of(faces.label_set, known)
    names = list(LABEL_SETS[faces.label_set]) if is_known else known  # else classes of the user's own, by number
    if (highest := int(faces.labels.max())) >= len(names):
        raise DataError(
            f"{split} holds label {highest}, the model knows {len(known)} classes, 0 to {len(known) - 1}. "
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
    """Return (n,) bool for the faces of `split`: True where no face of `train_split` has the same pixels.

    Raises:
        DataError: it cannot be told, or nothing is left; the message is the reason.
    """
    if split == train_split:
        raise DataError(f"{split} is the training split itself")
    training = faces.images[faces.splits == train_split]
    if not len(training):
        raise DataError(f"this copy of the data has no split {train_split!r} to look for twins in")
    is_clean = ~np.isin(pixel_hashes(faces.images[faces.splits == split]), pixel_hashes(training))
    if not is_clean.any():
        raise DataError(f"every face of {split} also stands in {train_split}")
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
    """Measure a model on faces of the size that it was made for; see `predict_logits` and `measure`."""
    logits = predict_logits(model, faces.images, device=device, flip=flip, dtype=dtype, mean_std=mean_std)
    return measure(logits, faces.labels)


__all__ = [
    "BATCH_SIZE",
    "PROTOCOLS",
    "Evaluation",
    "Metrics",
    "evaluate",
    "evaluate_split",
    "mark_clean",
    "measure",
    "predict_logits",
]
