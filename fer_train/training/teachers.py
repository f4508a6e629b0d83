"""Average the probabilities of released models (teachers) as targets for a student."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fer_train.data.augment import normalize
from fer_train.data.faces import FERPLUS_EMOTIONS, LABELS_IN_WORDS, Faces, own_label_set
from fer_train.data.label_columns import align_probs, require_shared
from fer_train.distributed import is_first_process
from fer_train.errors import CheckpointError
from fer_train.evaluation.ensemble import Member, load_ensemble, load_member
from fer_train.files.durable import write_content
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

BATCH_SIZE = 256

_log = logging.getLogger(__name__)


class Teachers:
    """Average of the members' probabilities at one temperature; their weights do not change."""

    def __init__(
        self, paths: tuple[str, ...], *, labels: Sequence[str], temperature: float, device: torch.device
    ) -> None:
        """Load releases and ensembles; all paths have the same weight.

        Args:
            paths: releases (.safetensors) and ensembles (.json).
            labels: labels of the student; the classes of a teacher are matched by name.
            temperature: divisor of the teachers' logits.
            device: device of the teachers.

        Raises:
            ConfigError: a teacher's labels neither equal the student's nor does one list contain the other.
            CheckpointError: a file cannot be used.
        """
        self._members = [member for path in paths for member in _load(Path(path), 1 / len(paths))]
        self._labels = tuple(labels)
        for member in self._members:
            require_shared(
                member.spec["labels"],
                labels,
                what=f"teacher {member.path}",
                fix="another --teacher, or num_classes and labels as the teacher has them",
            )
            member.model.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self._temperature = temperature
        self._device = device

    def warn_of_other_labels(self) -> None:
        """Log a warning of each teacher that predicts another label set than the student's: the two often disagree."""
        wanted = "ferplus" if self._labels == FERPLUS_EMOTIONS else "fer2013"
        for member in self._members:
            own = own_label_set(member.spec)
            if own != wanted and is_first_process():
                _log.warning(
                    "teacher %s predicts %s, the student learns %s: the two agree for 67 %% of the faces",
                    member.path,
                    LABELS_IN_WORDS[own],
                    LABELS_IN_WORDS[wanted],
                )

    def provenance(self) -> list[dict[str, Any]]:
        """Return the provenance of the teachers for the student's ModelSpec."""
        return [
            {
                "path": m.path.name,
                "sha256": m.sha256,
                "weight": m.weight,
                "architecture": m.spec["architecture"],
                "metrics": m.spec["metrics"],
            }
            for m in self._members
        ]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return probabilities (n, C) for the student's normalized images (n, 1, S, S), at the temperature."""
        parts = [member.weight * self._probs_of(member, images) for member in self._members]
        return torch.stack(parts).sum(dim=0)

    def _probs_of(self, member: Member, images: Tensor) -> Tensor:
        logits = member.model(_adapted(images, member.spec)).float()
        return align_probs(F.softmax(logits / self._temperature, dim=1), member.spec["labels"], self._labels)

    def cached_probs(self, faces: Faces, cache: Path) -> Tensor:
        """Return `predict(faces)`, (N, C), from the file `cache` if it is of these teachers and faces.

        The predictions take minutes on a CPU, and a resumed run must use the same ones.
        """
        content_of_key = [
            faces.digest(),
            str(self._temperature),
            *self._labels,
            *(f"{m.sha256} {m.weight}" for m in self._members),
        ]
        key = hashlib.sha256("\n".join(content_of_key).encode()).hexdigest()
        try:
            with safe_open(cache, framework="pt") as file:
                if (file.metadata() or {}).get("key") == key:
                    known: Tensor = file.get_tensor("probs")
                    return known.to(self._device)
        except (OSError, SafetensorError):  # absent or damaged: predict again
            pass
        probs = self.predict(faces)
        content = save({"probs": probs.cpu()}, metadata={"key": key})
        write_content(cache, content)
        return probs

    def labelled(self, faces: Faces, label_set: str) -> Faces:
        """Return the faces with the teachers' first choices as labels; `label_set` is the student's."""
        return replace(faces, labels=self.predict(faces).argmax(1).cpu().numpy(), label_set=label_set)

    def predict(self, faces: Faces) -> Tensor:
        """Return probabilities (N, C) on the device: the mean over each face and its mirror image."""
        _log.info("running %d teachers on %d faces", len(self._members), len(faces))
        parts = []
        starts = range(0, len(faces), BATCH_SIZE)
        for start in track(
            starts, "running the teachers", console=Console(stderr=True), disable=not is_first_process()
        ):
            images = normalize(torch.from_numpy(faces.images[start : start + BATCH_SIZE]).to(self._device))
            parts.append((self(images) + self(images.flip(3))) / 2)
        return torch.cat(parts)


def _load(path: Path, share: float) -> list[Member]:
    if not path.exists():
        raise CheckpointError(
            f"no teacher at {path}. Fix: train and release it first, as the top of a shipped config says; name another "
            "one (distillation: teachers, or --teacher); or distillation: null"
        )
    members = load_ensemble(path) if path.suffix == ".json" else [load_member(path, 1.0)]
    return [replace(member, weight=share * member.weight) for member in members]


def _adapted(images: Tensor, spec: dict[str, Any]) -> Tensor:
    """Convert the student's images (n, 1, S, S) to the size and the normalization of a teacher."""
    wanted = spec["input"]
    size = (wanted["height"], wanted["width"])
    if images.shape[-2:] != size:
        images = F.interpolate(images, size, mode="bilinear", align_corners=False)
    if (wanted["mean"], wanted["std"]) != (PIXEL_MEAN, PIXEL_STD):
        images = (images * PIXEL_STD + PIXEL_MEAN - wanted["mean"]) / wanted["std"]
    return images
