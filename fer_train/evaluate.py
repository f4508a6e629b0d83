"""Measure a model on one split: in every view asked for, on all of its faces and on those without a twin.

official    every face of the split, as published numbers are
clean       without the faces whose pixels also stand, identically, in the training split of the same data: a model
            that was trained on them has seen the answer (PublicTest: 280 of 3,589)

A model trained under the clean protocol (`protocol: clean`) never saw those twins, for they were taken out of its
training rows; its official number is not inflated by them. The clean number is the one by which models of
either protocol can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_train.augment import PIXEL_MEAN, PIXEL_STD
from fer_train.data.faces import Faces
from fer_train.data.splits import pixel_hashes, take_split
from fer_train.errors import DataError
from fer_train.metrics import Metrics, measure, probs_from_logits
from fer_train.tta import BATCH_SIZE, OnBatch, ignore_batch, predict_logits, predict_views

PROTOCOLS = ("official", "clean")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model said about one split.

    Attributes:
        split: the name of the split.
        names: of the classes, by label.
        faces: those of the split, at the size of the model.
        logits: by view, (N, C) float32.
        is_clean: (N,) bool, faces without a twin in the training split; None where that cannot be told.
        why_not_clean: the reason for None, else empty.
    """

    split: str
    names: list[str]
    faces: Faces
    logits: dict[str, NDArray[np.float32]]
    is_clean: NDArray[np.bool_] | None
    why_not_clean: str

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

        The clean ones stand under the key "clean", which is absent where they are not measurable.
        """
        return {
            view: self.official(view).to_dict() | ({} if clean is None else {"clean": clean.to_dict()})
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
    views: Sequence[str] = ("plain", "flip"),
    on_batch: OnBatch = ignore_batch,
) -> Evaluation:
    """Ask a model, in float32, about every face of a split.

    Args:
        model: on the device where it shall run.
        faces: all splits of the data; twins are looked for in the one that the model was trained on.
        split: the one to measure.
        spec: the model's ModelSpec: size, normalization, class names and the name of its training split.
        views: see `fer_train.tta`.
        on_batch: progress; see `OnBatch`.

    Raises:
        SplitAbsentError: the data have no such split.
        DataError: a label that the model does not know; said before the model runs.
    """
    chosen = take_split(faces, split)
    names: list[str] = spec["labels"]
    if (highest := int(chosen.labels.max())) >= len(names):
        raise DataError(
            f"{split} holds label {highest}, the model knows {len(names)} classes, 0 to {len(names) - 1}. "
            "Fix: a model that was trained on these classes"
        )
    train_split = spec["provenance"].get("config", {}).get("train_split", "Training")
    try:
        is_clean, why_not = mark_clean(faces, split, train_split=train_split), ""
    except DataError as err:
        is_clean, why_not = None, str(err)
    wanted = spec["input"]
    resized = chosen.resized(wanted["height"])
    logits = predict_views(
        model, resized.images, views=views, device=next(model.parameters()).device,
        mean_std=(wanted["mean"], wanted["std"]), on_batch=on_batch,
    )  # fmt: skip
    return Evaluation(split, names, resized, logits, is_clean, why_not)


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
    "BATCH_SIZE", "PROTOCOLS", "Evaluation", "Metrics", "evaluate", "evaluate_split", "mark_clean", "measure",
    "predict_logits",
]  # fmt: skip
