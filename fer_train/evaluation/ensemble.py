"""Ensembles: released models whose probabilities are averaged, with weights that are equal or chosen on a split.

The chosen weights minimize the cross-entropy of the averaged probabilities. That is convex in the weights, which are
at least 0 and sum to 1, and it is the maximum likelihood of a mixture with fixed components, so the EM algorithm
(Dempster, Laird and Rubin 1977) reaches the minimum. Faces by which weights were chosen flatter them;
`crossfitted_weights` lets the choosing itself be measured, on faces that had no part in it.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_train.checkpoint import load_release
from fer_train.data.faces import LABELS_IN_WORDS, Faces, own_label_set, resize_face
from fer_train.data.readers.cache import file_sha256
from fer_train.data.splits import pixel_hashes
from fer_train.durable import write_content
from fer_train.errors import CheckpointError, ConfigError, DataError
from fer_train.evaluation.evaluate import predict_logits
from fer_train.evaluation.views import require_finite

NUM_FOLDS = 5
FOLD_SEED = 0
_FORMAT = "fer-ensemble-1"
_TOLERANCE = 1e-5
"""Nats above the minimum at which EM stops."""
_MAX_ITERATIONS = 20_000
_SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True, eq=False)
class Member:
    """One model of an ensemble.

    Attributes:
        path: its release.
        sha256: of that file.
        model: in eval mode, on the CPU when it was just loaded.
        spec: its ModelSpec.
        weight: its share of the average, 0 to 1; shares sum to 1 over the members.
    """

    path: Path
    sha256: str
    model: nn.Module
    spec: dict[str, Any]
    weight: float


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members that know the same labels. Each has the size, normalization and temperature of its own ModelSpec."""

    members: tuple[Member, ...]

    @classmethod
    def of(cls, paths: Sequence[Path], weights: Sequence[float] | None = None) -> Self:
        """Load releases; without `weights` each counts the same.

        Raises:
            ConfigError: fewer than two members, the same file twice, or members that know different labels.
            CheckpointError: a release that cannot be used.
        """
        if len(paths) < 2:
            raise ConfigError(f"an ensemble needs at least 2 checkpoints, got {len(paths)}. Fix: one more --checkpoint")
        shares = weights if weights is not None else [1 / len(paths)] * len(paths)
        members = tuple(load_member(path, weight) for path, weight in zip(paths, shares, strict=True))
        first, seen = members[0], dict[str, Path]()
        for member in members:
            if member.spec["labels"] != first.spec["labels"]:
                raise ConfigError(
                    f"{member.path} knows the labels {', '.join(member.spec['labels'])}, "
                    f"{first.path} knows {', '.join(first.spec['labels'])}. An ensemble needs one list of labels. "
                    "Fix: leave one of the two out"
                )
            if own_label_set(member.spec) != own_label_set(first.spec):
                raise ConfigError(
                    f"{member.path} answers with {LABELS_IN_WORDS[own_label_set(member.spec)]}, {first.path} with "
                    f"{LABELS_IN_WORDS[own_label_set(first.spec)]}. Fix: leave one of the two out"
                )
            if member.sha256 in seen:
                raise ConfigError(f"{member.path} and {seen[member.sha256]} are the same model. Fix: name it once")
            seen[member.sha256] = member.path
        return cls(members)

    @property
    def labels(self) -> list[str]:
        """The meaning of each column of the probabilities."""
        labels: list[str] = self.members[0].spec["labels"]
        return labels

    @property
    def label_set(self) -> str:
        """Whose labels the members answer with: "fer2013" or "ferplus"."""
        return own_label_set(self.members[0].spec)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The members' shares, (K,)."""
        return np.array([member.weight for member in self.members])

    def member_probs(
        self, images: NDArray[np.uint8], *, device: torch.device, flip: bool = False
    ) -> NDArray[np.float64]:
        """Return each member's probabilities (K, N, C) for gray faces (N, H, W) uint8 of any size.

        With `flip` a member's logits are averaged over each face and its mirror image.
        """
        parts = []
        for member in self.members:
            wanted = member.spec["input"]
            resized = np.stack([resize_face(image, wanted["height"]) for image in images])
            logits = predict_logits(
                member.model.to(device), resized, device=device, flip=flip, mean_std=(wanted["mean"], wanted["std"])
            )
            require_finite([logits], what=f"{member.path} answers")
            logits /= np.float32(member.spec.get("temperature", 1.0))
            parts.append(torch.from_numpy(logits).double().softmax(dim=1).numpy())
        return np.stack(parts)

    def probs(self, images: NDArray[np.uint8], *, device: torch.device, flip: bool = False) -> NDArray[np.float64]:
        """Return the ensemble's probabilities (N, C) for gray faces (N, H, W) uint8; see `member_probs`."""
        return average(self.member_probs(images, device=device, flip=flip), self.weights)

    def save(self, path: Path, weights: NDArray[np.float64], report: dict[str, Any]) -> None:
        """Write the ensemble with these weights (K,) as JSON; `report` is laid beside the members.

        Paths are written relative to the file, so that a folder with its releases can be moved.
        """
        content = {
            "format": _FORMAT,
            "labels": self.labels,
            "members": [
                {
                    "path": os.path.relpath(member.path.resolve(), path.resolve().parent),
                    "sha256": member.sha256,
                    "architecture": member.spec["architecture"],
                    "weight": float(weight),
                }
                for member, weight in zip(self.members, weights, strict=True)
            ],
            **report,
        }
        write_content(path, json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote, with its models.

        Raises:
            CheckpointError: missing or malformed, or a member's file is missing or another one than then.
            ConfigError: as `of`.
        """
        try:
            content = json.loads(path.read_text())
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']!r}, expected {_FORMAT!r}")
            rows = [(path.parent / m["path"], str(m["sha256"]), float(m["weight"])) for m in content["members"]]
            shares = [weight for _, _, weight in rows]
            if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
                raise ValueError(f"weights {shares}, expected a sum of 1 and none below 0")
        except FileNotFoundError as err:
            raise CheckpointError(f"no ensemble at {path}. Fix: fer-train ensemble --checkpoint ... --out") from err
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise CheckpointError(
                f"cannot load {path}: not an ensemble of fer-train ({err}). Fix: make it anew: fer-train ensemble"
            ) from err
        for file, sha256, _ in rows:
            if file.is_file() and (seen := file_sha256(file)) != sha256:
                raise CheckpointError(
                    f"{file} is not the file that {path} was made of: sha256 is {seen[:12]}, expected {sha256[:12]}. "
                    "Fix: put the old file back, or make the ensemble anew"
                )
        return cls.of([file for file, _, _ in rows], shares)


def load_ensemble(path: Path) -> list[Member]:
    """Return the members of an `ensemble.json` with their models and weights; errors as `Ensemble.load`."""
    return list(Ensemble.load(path).members)


def average(member_probs: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted mean (N, C) of members' probabilities (K, N, C).

    Args:
        member_probs: (K, N, C).
        weights: (K,), or (N, K) for weights of each face's own; they sum to 1 over the members.
    """
    per_face = np.broadcast_to(weights, (member_probs.shape[1], len(member_probs)))
    return np.asarray(np.einsum("nk,knc->nc", per_face, member_probs))


def log_probs(probs: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return log-probabilities (N, C), which `measure` takes as logits."""
    return np.log(np.maximum(probs, _SMALLEST_PROBABILITY)).astype(np.float32)


def choose_weights(member_probs: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weights (K,) that minimize the cross-entropy of the average, to within 1e-5 nats.

    Args:
        member_probs: (K, N, C).
        labels: (N,).
    """
    of_truth = np.maximum(member_probs[:, np.arange(len(labels)), labels], _SMALLEST_PROBABILITY)  # (K, N)
    weights = np.full(len(of_truth), 1 / len(of_truth))
    for _ in range(_MAX_ITERATIONS):
        # By convexity the distance to the minimum is at most log(max(gain)), and at the minimum no gain exceeds 1.
        gain = (of_truth / (weights @ of_truth)).mean(axis=1)
        weights = weights * gain
        weights /= weights.sum()
        if gain.max() <= 1 + _TOLERANCE:
            break
    return np.asarray(weights)


def crossfitted_weights(member_probs: NDArray[np.float64], faces: Faces) -> NDArray[np.float64]:
    """Return for each face weights (N, K) that were chosen without it: by the folds that it is not in.

    Faces with the same pixels share a fold.

    Args:
        member_probs: (K, N, C).
        faces: the N faces that they are about.

    Raises:
        DataError: fewer different faces than folds.
    """
    _, group = np.unique(pixel_hashes(faces.images), return_inverse=True)
    num_groups = int(group.max()) + 1
    if num_groups < NUM_FOLDS:
        raise DataError(
            f"choosing weights needs {NUM_FOLDS} different faces or more, found {num_groups}. Fix: --weighting equal"
        )
    folds = (np.random.default_rng(FOLD_SEED).permutation(num_groups) % NUM_FOLDS)[group]
    result = np.empty((len(faces), len(member_probs)))
    for fold in range(NUM_FOLDS):
        others = folds != fold
        result[~others] = choose_weights(member_probs[:, others], faces.labels[others])
    return result


def load_member(path: Path, weight: float) -> Member:
    """Return a release as a member; errors as `load_release`."""
    model, spec = load_release(path)
    return Member(path, file_sha256(path), model, spec, weight)
