"""Measure what the two choices of a release are worth: batch norm measured again, and adjusted logits."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from fer_train.data.faces import Faces, own_label_set
from fer_train.data.label_columns import align_logits
from fer_train.data.splits import take_split
from fer_train.evaluation.evaluate import evaluate_split
from fer_train.evaluation.metrics import Metrics
from fer_train.evaluation.views import OnBatch
from fer_train.release.logit_adjustment import logit_shift
from fer_train.release.recalibrate import recalibrate_on_faces

STRENGTHS = (0.0, 0.1, 0.2, 0.3)
"""Shares of the log prior that are tried."""


Progress = Callable[[str], AbstractContextManager[OnBatch]]
"""Function that returns a context manager, which shows a progress bar with the given name."""


@dataclass(frozen=True)
class Choice:
    """One way to release a model, and what it measures.

    Attributes:
        is_recalibrated: whether batch norm was measured again.
        strength: share of the log prior that was taken from the logits.
        plain, flip: metrics of every face of the split, as it is and as the mean with its mirror image.
    """

    is_recalibrated: bool
    strength: float
    plain: Metrics
    flip: Metrics


def measure_choices(
    model: nn.Module, training: Faces, faces: Faces, split: str, *, spec: dict[str, Any], progress: Progress
) -> Iterator[Choice]:
    """Yield the choices of a model, in float32, as trained first and then with batch norm measured again.

    The model itself does not change. A quantization-aware model is not recalibrated, and the logits of a model of
    FER+'s labels, or with a class that has no training face, are not adjusted: release refuses these.

    Args:
        model: the model, on the device to measure on.
        training: the rows that it was trained on, for batch norm.
        faces: all splits of the data, with votes for a model of FER+'s labels; all training rows count for the logits.
        split: the split that chooses.
        spec: the ModelSpec.
        progress: see `Progress`.

    Raises:
        SplitAbsentError, DataError, CheckpointError: see `evaluate_split`.
    """
    own, config = own_label_set(spec), spec["provenance"]["config"]
    labels = take_split(faces, config["train_split"]).labels
    is_adjustable = own == "fer2013" and len(np.unique(labels)) == len(spec["labels"])
    strengths = STRENGTHS if is_adjustable else STRENGTHS[:1]
    for is_recalibrated in (False,) if spec.get("quantization") else (False, True):
        if is_recalibrated:
            model = copy.deepcopy(model)
            with progress("batch-norm statistics") as on_batch:
                recalibrate_on_faces(model, training, spec=spec, on_batch=on_batch)
        with progress(f"{split}, plain and flip") as on_batch:
            seen = evaluate_split(
                model, faces, split, spec=spec | {"temperature": 1.0}, label_set=own, on_batch=on_batch
            )
        for strength in strengths:
            adjusted = seen
            if strength:
                shift = logit_shift(labels, len(spec["labels"]), strength).astype(np.float32)
                aligned = align_logits(shift[None], spec["labels"], seen.names)
                adjusted = replace(seen, logits={view: logits - aligned for view, logits in seen.logits.items()})
            yield Choice(is_recalibrated, strength, adjusted.official("plain"), adjusted.official("flip"))
