"""Model soups: one model whose weights are the mean of several models' (Wortsman et al. 2022, arXiv 2203.05482).

The mean is good if the ingredients were fine-tuned from one release, because no barrier of the loss separates them.
Models that started from different random weights cannot be averaged. Batch-norm statistics are not weights and are
measured again: those of the ingredients belong to other activations.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fer_train.config_file import config_from_dict
from fer_train.data.faces import Faces, own_label_set
from fer_train.data.label_columns import load_aligned
from fer_train.errors import CheckpointError, ConfigError
from fer_train.evaluation.ensemble import Member, load_member
from fer_train.evaluation.evaluate import evaluate
from fer_train.evaluation.views import OnBatch, ignore_batch
from fer_train.hardware import describe_hardware
from fer_train.models import build_model
from fer_train.release.recalibrate import recalibrate_on_faces
from fer_train.spec import describe_model

_TOLERANCE = 1e-6
NUM_TRIAL_FACES = 4096
"""Number of training faces, evenly spread, that measure batch norm during the choice; the final soup uses all."""
_SHARED_SETTINGS = ("protocol", "train_split", "validation_split")


@dataclass(frozen=True, eq=False)
class Trial:
    """Result of one ingredient in the greedy choice.

    Attributes:
        ingredient: the tried model.
        alone: accuracy of that model alone, 0 to 1.
        together: accuracy of the kept ingredients plus this one; `alone` for the first.
        is_kept: whether it is part of the soup.
    """

    ingredient: Member
    alone: float
    together: float
    is_kept: bool


def load_ingredients(paths: Sequence[Path], weights: Sequence[float] | None = None) -> list[Member]:
    """Load checkpoints whose weights can be averaged.

    A checkpoint with a subset of the first one's labels and without a label set gets a classifier for all of them,
    its rows matched by name, as for `init`.

    Args:
        paths: paths of the checkpoints.
        weights: weight of each in the mean, with the sum 1; None: equal weights.

    Raises:
        ConfigError: there are fewer than two checkpoints, one occurs twice, or two differ in architecture, labels,
            input or protocol; or the weights are not one per checkpoint, above 0 and with the sum 1.
        CheckpointError: a file cannot be used.
    """
    if len(paths) < 2:
        raise ConfigError(f"a soup needs at least 2 checkpoints, got {len(paths)}. Fix: one more --checkpoint")
    shares = [1 / len(paths)] * len(paths) if weights is None else list(weights)
    if len(shares) != len(paths) or min(shares) <= 0 or abs(sum(shares) - 1) > _TOLERANCE:
        raise ConfigError(
            f"weights {', '.join(f'{share:g}' for share in shares)} are not one for each of {len(paths)} checkpoints, "
            "above 0 and with the sum 1. Fix: as many --weights as --checkpoint, such as 0.5 and 0.5"
        )
    ingredients = [load_member(path, share) for path, share in zip(paths, shares, strict=True)]
    ingredients = [_with_labels_of(ingredients[0], member) for member in ingredients]
    first, known = ingredients[0], dict[str, Path]()
    for member in ingredients:
        if member.sha256 in known:
            raise ConfigError(f"{member.path} and {known[member.sha256]} are the same model. Fix: name it once")
        known[member.sha256] = member.path
        if member.spec.get("quantization"):
            raise ConfigError(
                f"{member.path} was trained quantization-aware: its activation ranges would not fit the mean. "
                "Fix: leave it out"
            )
        wanted = _traits(first)
        for what, seen in _traits(member).items():
            if seen != wanted[what]:
                raise ConfigError(
                    f"{member.path} has {what} {seen}, {first.path} has {wanted[what]}. Weights can be averaged only "
                    "if these are the same. Fix: leave one of the two out"
                )
    return ingredients


def _with_labels_of(first: Member, member: Member) -> Member:
    """Return the member with a classifier for the first one's labels if it has a subset of them, else unchanged."""
    names, wanted = member.spec["labels"], first.spec["labels"]
    is_part = set(names) < set(wanted) and "label_set" not in member.spec
    if not is_part or member.spec["architecture"] != first.spec["architecture"]:
        return member
    model = build_model(member.spec["architecture"], num_classes=len(wanted))
    load_aligned(model, member.model.state_dict(), names, wanted)
    spec = member.spec | {"labels": wanted, "label_set": first.spec.get("label_set")}
    return replace(member, model=model.eval(), spec=spec)


def _traits(member: Member) -> dict[str, Any]:
    """Return the properties that all ingredients must share, by their names in messages."""
    try:
        config, spec = member.spec["provenance"]["config"], member.spec
        traits = {
            "architecture": spec["architecture"],
            "labels": ", ".join(spec["labels"]),
            "label set": own_label_set(spec),
            "input": spec["input"],
        }
        return traits | {name: config[name] for name in _SHARED_SETTINGS}
    except (KeyError, TypeError) as err:
        raise CheckpointError(
            f"{member.path} does not say how it was trained ({err} is absent). Fix: a checkpoint of fer-train train "
            "or fer-train release"
        ) from err


def average_weights(ingredients: Sequence[Member]) -> nn.Module:
    """Return a new model on the CPU with the weighted mean of the ingredients' parameters, in float32.

    Batch-norm statistics are averaged like weights. That is wrong unless the ingredients are close to each other, as
    the steps of one run are: see `make_soup`.
    """
    states = [member.model.state_dict() for member in ingredients]
    shares = torch.tensor([member.weight for member in ingredients])
    shares = shares / shares.sum()  # a choice may have dropped some
    model = copy.deepcopy(ingredients[0].model)
    model.load_state_dict(
        {
            name: torch.tensordot(shares, torch.stack([state[name] for state in states]), dims=1)
            if value.is_floating_point()
            else value
            for name, value in states[0].items()
        }
    )
    return model


def make_soup(
    ingredients: Sequence[Member], training: Faces | None, *, device: torch.device, on_batch: OnBatch = ignore_batch
) -> nn.Module:
    """Return the mean of the ingredients on the device, in eval mode.

    Batch norm is measured on the unaugmented training faces. Without faces it is the mean of the ingredients' own
    statistics: better for steps of one run with strong degradation, whose statistics include degraded faces on
    purpose.
    """
    model = average_weights(ingredients).to(device)
    if training is not None:
        recalibrate_on_faces(model, training, spec=ingredients[0].spec, on_batch=on_batch)
    return model.eval()


def accuracy_on(
    validation: Faces, training: Faces, *, spec: dict[str, Any], device: torch.device
) -> Callable[[Sequence[Member]], float]:
    """Return a function that maps ingredients to the accuracy (plain, official) of their soup on `validation`.

    Batch norm is measured on `NUM_TRIAL_FACES` of the training faces, also for a single model, so all trials compare.
    """
    wanted = spec["input"]
    few = np.zeros(len(training), dtype=bool)
    few[np.linspace(0, len(training) - 1, min(NUM_TRIAL_FACES, len(training))).round().astype(np.int64)] = True
    trial_faces, resized = training.select(few), validation.resized(wanted["height"])

    def accuracy(ingredients: Sequence[Member]) -> float:
        model = make_soup(ingredients, trial_faces, device=device)
        return evaluate(model, resized, device=device, mean_std=(wanted["mean"], wanted["std"])).accuracy

    return accuracy


def choose_greedily(ingredients: Sequence[Member], accuracy: Callable[[Sequence[Member]], float]) -> list[Trial]:
    """Add ingredients to the soup, the most accurate first; keep each that does not reduce the accuracy.

    This is recipe 1 of Wortsman et al. 2022. `accuracy` is called once for each ingredient and once for each soup.

    Returns:
        One trial per ingredient, in the order of the trials; at least the first one is kept.
    """
    alone = [(accuracy([ingredient]), ingredient) for ingredient in ingredients]
    kept: list[Member] = []
    best = -1.0
    trials = []
    for own, ingredient in sorted(alone, key=lambda pair: -pair[0]):
        together = accuracy([*kept, ingredient]) if kept else own
        is_kept = together >= best
        if is_kept:
            kept.append(ingredient)
            best = together
        trials.append(Trial(ingredient, own, together, is_kept))
    return trials


def describe_soup(
    ingredients: Sequence[Member],
    training_and_validation: Faces,
    trials: Sequence[Trial],
    *,
    device: torch.device,
    is_recalibrated: bool = True,
) -> dict[str, Any]:
    """Return the ModelSpec of a soup, without metrics.

    Its `provenance["config"]` is that of the first ingredient; `provenance["soup"]` describes the averaged models.

    Args:
        ingredients: the models in the soup.
        training_and_validation: the faces that measured batch norm and, with trials, chose the ingredients.
        trials: trials of the greedy choice; empty if all checkpoints were averaged.
        device: device of the measurements.
        is_recalibrated: whether batch norm was measured on the training faces.
    """
    first = ingredients[0]
    config = config_from_dict(first.spec["provenance"]["config"], where=str(first.path))
    faces = training_and_validation
    spec = describe_model(config, faces, {}, hardware=describe_hardware(device))
    by_sha256 = {trial.ingredient.sha256: trial for trial in trials}
    spec["provenance"]["soup"] = {
        "recalibrated_on": faces.counts()[config.train_split] if is_recalibrated else None,
        "chosen_on": config.validation_split if trials else None,
        "ingredients": [
            _describe_ingredient(member, by_sha256.get(member.sha256)) | {"provenance": member.spec["provenance"]}
            for member in ingredients
        ],
        "left_out": [_describe_ingredient(trial.ingredient, trial) for trial in trials if not trial.is_kept],
    }
    return spec


def _describe_ingredient(member: Member, trial: Trial | None) -> dict[str, Any]:
    measured = {} if trial is None else {"accuracy_alone": trial.alone, "accuracy_together": trial.together}
    return {
        "path": member.path.name,
        "sha256": member.sha256,
        "metrics": member.spec["metrics"],
        "weight": member.weight,
    } | measured
