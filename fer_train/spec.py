"""Build the ModelSpec of a checkpoint as plain data. `fer_deploy.spec` reads it; a test holds both together."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

import torch

import fer_train
from fer_train.config import TrainConfig
from fer_train.data.faces import LABEL_SETS, Faces, labels_for
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

SPEC_VERSION = 1
Kept = Literal["best", "final"]


def describe_model(
    config: TrainConfig,
    faces: Faces,
    metrics: dict[str, Any],
    *,
    ancestor: dict[str, Any] | None = None,
    teachers: list[dict[str, Any]] | None = None,
    quantization: dict[str, float] | None = None,
    hardware: str | None = None,
    kept: Kept | None = None,
    precision: str | None = None,
    num_processes: int = 1,
) -> dict[str, Any]:
    """Return the ModelSpec: labels, input, normalization, metrics and provenance.

    Args:
        config: settings of the run that produced the weights.
        faces: the rows of that run, for the provenance.
        metrics: measured values by name.
        ancestor: provenance of the release that the run started from, if any.
        teachers: provenance of the teachers, if any; see `Teachers.provenance`.
        quantization: max|input| of each layer after quantization-aware training; see `activation_ranges`.
        hardware: description of the training machine.
        kept: epoch of the weights: the one with the best validation accuracy, or the final one.
        precision: precision of the steps, which the config may leave open.
        num_processes: number of processes that shared each batch.
    """
    labels = labels_for(config.num_classes, config.labels)
    uses_votes = bool(faces.votes_sha256) and (config.needs_votes or faces.label_set == "ferplus")
    return {
        "spec_version": SPEC_VERSION,
        "architecture": config.model,
        "labels": labels,
        **({"label_set": config.labels} if tuple(labels) == LABEL_SETS[config.labels] else {}),
        "input": {
            "name": "images",
            "height": config.image_size,
            "width": config.image_size,
            "channels": 1,
            "dtype": "uint8",
            "color": "gray",
            "mean": PIXEL_MEAN,
            "std": PIXEL_STD,
        },
        "metrics": metrics,
        **({} if quantization is None else {"quantization": quantization}),
        "provenance": {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "fer_train": fer_train.__version__,
            "torch": str(torch.__version__),
            "data_sha256": faces.source_sha256,
            "num_faces": faces.counts(),
            "row_lists": [asdict(row_list) for row_list in faces.row_lists],
            "config": config.model_dump(mode="json"),
            **({"ferplus_sha256": faces.votes_sha256} if uses_votes else {}),
            **({} if hardware is None else {"hardware": hardware}),
            **({} if precision is None else {"precision": precision, "num_processes": num_processes}),
            **({} if kept is None else {"kept": kept}),
            **({} if ancestor is None else {"init": ancestor}),
            **({} if teachers is None else {"teachers": teachers}),
            **({"validated_against": "teachers"} if config.is_judged_by_teachers(faces.label_set) else {}),
        },
    }
