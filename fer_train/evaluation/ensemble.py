"""Average the probabilities of released models, with equal weights or weights chosen on a split.

The chosen weights minimize the cross-entropy of the averaged probabilities. This is convex in the weights, which are
at least 0 and sum to 1, and equals the maximum likelihood of a mixture with fixed components, so the EM algorithm
(Dempster, Laird and Rubin 1977) reaches the minimum. Measured on the faces that chose them, weights look too good;
`crossfitted_weights` measures the method itself, on faces that were not used for the choice.
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
from fer_train.errors import CheckpointError, ConfigError, DataError
from fer_train.evaluation.evaluate import predict_logits
from fer_train.evaluation.views import require_finite
from fer_train.files.durable import write_content

NUM_FOLDS = 5
FOLD_SEED = 0
_FORMAT = "fer-ensemble-1"
_TOLERANCE = 1e-5
"""EM stops within this many nats of the minimum."""
_MAX_ITERATIONS = 20_000
_SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True, eq=False)
class Member:
    """One model of an ensemble.

    Attributes:
        path: release file.
        sha256: SHA-256 of that file.
        model: model in eval mode; on the CPU after loading.
        spec: ModelSpec of the model.
        weight: share of the average, 0 to 1; the shares of all members sum to 1.
    """

    path: Path
    sha256: str
    model: nn.Module
    spec: dict[str, Any]
    weight: float


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members with the same labels. Each uses the size, normalization and temperature of its own ModelSpec."""

    members: tuple[Member, ...]

    @classmethod
    def of(cls, paths: Sequence[Path], weights: Sequence[float] | None = None) -> Self:
        """Load releases; without `weights` all weights are equal.

        Raises:
            ConfigError: there are fewer than two members, a file occurs twice, or the labels differ.
            CheckpointError: a release cannot be used.
        """
        if len(paths) < 2:
            raise ConfigError(f"an ensemble needs at least 2 checkpoints, got {len(paths)}. Fix: one more --checkpoint")
        shares = weights if weights is not None else [1 / len(paths)] * len(paths)
        members = tuple(load_member(path, weight) for path, weight in zip(paths, shares, strict=True))
        first, seen = members[0], dict[str, Path]()
        for member in members:
            if member.spec["labels"] != first.spec["labels"]:
                raise ConfigError(
                    f"{member.path} has the labels {', '.join(member.spec['labels'])}, "
                    f"{first.path} has {', '.join(first.spec['labels'])}. An ensemble needs one list of labels. "
                    "Fix: leave one of the two out"
                )
            if own_label_set(member.spec) != own_label_set(first.spec):
                raise ConfigError(
                    f"{member.path} predicts {LABELS_IN_WORDS[own_label_set(member.spec)]}, {first.path} predicts "
                    f"{LABELS_IN_WORDS[own_label_set(first.spec)]}. Fix: leave one of the two out"
                )
            if member.sha256 in seen:
                raise ConfigError(f"{member.path} and {seen[member.sha256]} are the same model. Fix: name it once")
            seen[member.sha256] = member.path
        return cls(members)

    @property
    def labels(self) -> list[str]:
        """Return the class names of the columns of the probabilities."""
        labels: list[str] = self.members[0].spec["labels"]
        return labels

    @property
    def label_set(self) -> str:
        """Return the label set that the members predict: "fer2013" or "ferplus"."""
        return own_label_set(self.members[0].spec)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the weights of the members, (K,)."""
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
            require_finite([logits], what=str(member.path))
            logits /= np.float32(member.spec.get("temperature", 1.0))
            parts.append(torch.from_numpy(logits).double().softmax(dim=1).numpy())
        return np.stack(parts)

    def probs(self, images: NDArray[np.uint8], *, device: torch.device, flip: bool = False) -> NDArray[np.float64]:
        """Return the ensemble's probabilities (N, C) for gray faces (N, H, W) uint8; see `member_probs`."""
        return average(self.member_probs(images, device=device, flip=flip), self.weights)

    def save(self, path: Path, weights: NDArray[np.float64], report: dict[str, Any]) -> None:
        """Write the ensemble with these weights (K,) as JSON, together with the keys of `report`.

        Paths are relative to the file, so a folder with its releases can be moved.
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
        """Read a file of `save` and load its models.

        Raises:
            CheckpointError: the file is missing or malformed, or a member's file is missing or has changed.
            ConfigError: see `of`.
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
                f"cannot load {path}: not an ensemble of fer-train ({err}). Fix: create it again: fer-train ensemble"
            ) from err
        for file, sha256, _ in rows:
            if file.is_file() and (seen := file_sha256(file)) != sha256:
                raise CheckpointError(
                    f"{file} is not the file from which {path} was created: sha256 is {seen[:12]}, expected "
                    f"{sha256[:12]}. Fix: put the old file back, or create the ensemble again"
                )
        return cls.of([file for file, _, _ in rows], shares)


def load_ensemble(path: Path) -> list[Member]:
    """Return the members of an `ensemble.json` with their models and weights; raises as `Ensemble.load` does."""
    return list(Ensemble.load(path).members)


def average(member_probs: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted mean (N, C) of members' probabilities (K, N, C).

    Args:
        member_probs: (K, N, C).
        weights: (K,), or (N, K) for separate weights per face; they sum to 1 over the members.
    """
    per_face = np.broadcast_to(weights, (member_probs.shape[1], len(member_probs)))
    return np.asarray(np.einsum("nk,knc->nc", per_face, member_probs))


def log_probs(probs: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return log-probabilities (N, C), which `measure` accepts as logits."""
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
    """Return weights (N, K) for each face that were chosen on the other folds.

    Faces with the same pixels share a fold.

    Args:
        member_probs: (K, N, C).
        faces: the N faces of these probabilities.

    Raises:
        DataError: there are fewer distinct faces than folds.
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
    """Return a release as a member; raises as `load_release` does."""
    model, spec = load_release(path)
    return Member(path, file_sha256(path), model, spec, weight)
