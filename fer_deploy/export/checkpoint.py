"""Load checkpoints and data of fer_train as types of this package; the only bridge to fer_train."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.export.faces import CalibrationFaces, VerificationFaces
from fer_deploy.export.verify.slices import partly_degraded
from fer_deploy.spec import ModelSpec, spec_from_json
from fer_deploy.vision.preprocess import images_from_boxes
from fer_deploy.vision.types import Box
from fer_train.checkpoint import load_release, read_spec_json
from fer_train.data import read_faces
from fer_train.data.consensus import relabel_by_votes
from fer_train.data.faces import LABEL_SETS, LABELS_IN_WORDS, Faces, labels_for
from fer_train.errors import FerTrainError


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is loaded: one object from the first step of an export to its report.

    Attributes:
        path: where it was read.
        sha256: of the file's content, in hexadecimal digits.
        model: on the CPU, in eval mode.
        spec: its validated ModelSpec.
    """

    path: Path
    sha256: str
    model: nn.Module
    spec: ModelSpec


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a `.safetensors` release.

    The weights, the spec and the digest are those of one file: another one in its place, or a write, is an error.

    Raises:
        ArtifactError: missing, truncated or foreign file, or one that changed meanwhile.
    """
    try:
        spec_from_json(read_spec_json(path), where=str(path))  # of the header alone: a file may have gigabytes
        with path.open("rb") as file:
            opened = _version(os.fstat(file.fileno()))
            model, spec = load_release(path)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if not opened == _version(os.fstat(file.fileno())) == _version(path.stat()):
                raise ArtifactError(f"{path} changed while it was read. Fix: run this again when nothing writes it")
    except FerTrainError as err:
        raise ArtifactError(str(err)) from err
    except OSError as err:
        raise ArtifactError(f"cannot read {path}: {err.strerror or err}. Fix: check path and permissions") from err
    # The spec of the loaded classifier: its labels are in the order of the model's outputs.
    return Checkpoint(path, sha256, model, spec_from_json(json.dumps(spec), where=str(path)))


def _version(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return what differs between two files, and between a file before and after a write."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def load_verification_faces(
    path: Path, *, split: str, limit: int | None, spec: ModelSpec, ferplus: Path | None = None
) -> VerificationFaces:
    """Return labelled faces of a split, preprocessed as in deployment.

    Args:
        path: FER2013 as CSV or folder.
        split: name of the split.
        limit: largest number of faces, evenly spread; None: all.
        spec: ModelSpec of the model.
        ferplus: votes of FER+'s taggers; they label the faces, by their majority, for a model of FER+'s labels. Faces
            without a majority are left out. None: FER2013's labels.

    Raises:
        ArtifactError: the data are unreadable, the split is missing, or the model lacks a label.
    """
    faces = _faces_of(path, split, ferplus if spec.label_set == "ferplus" else None)
    against = LABELS_IN_WORDS[faces.label_set]
    numbered = tuple(labels_for(len(spec.labels)))  # the user's own classes have numbers as names
    is_numbered = spec.labels == numbered and faces.labels.max() < len(numbered)
    names = numbered if is_numbered else LABEL_SETS[faces.label_set]
    position = {name: i for i, name in enumerate(spec.labels)}
    if unknown := sorted({names[label] for label in np.unique(faces.labels)} - position.keys()):
        raise ArtifactError(
            f"the model has {', '.join(spec.labels)}; {path.name} is labelled {', '.join(names)}, and the model lacks "
            f"{unknown[0]}. Fix: a model that was trained on these labels"
        )
    labels = np.array([position.get(name, 0) for name in names], dtype=np.int64)[faces.labels]
    found = VerificationFaces(_deployed(faces.images, spec), labels, f"{split} of {path.name}, {against}")
    return found if limit is None else found.at(found.positions(limit))


def draw_calibration_faces(
    path: Path, *, split: str, count: int, seed: int, spec: ModelSpec, degraded_share: float = 0.0
) -> CalibrationFaces:
    """Return `count` faces of a split, drawn without replacement and preprocessed as in deployment.

    Args:
        path: FER2013 as CSV or folder.
        split: name of the split.
        count: number of faces.
        seed: seed of the draw and of the choice of degraded faces.
        spec: ModelSpec of the model to calibrate.
        degraded_share: share of the faces that are made dim, blurred and so on; see `slices`.

    Raises:
        ArtifactError: the data are unreadable, or the split is missing.
        ConfigError: the split has fewer faces.
    """
    faces = _faces_of(path, split)
    if count > len(faces):
        raise ConfigError(f"calibration_faces is {count}, but {split} of {path.name} has {len(faces)}. Fix: fewer")
    chosen = np.sort(np.random.default_rng(seed).choice(len(faces), count, replace=False))
    images, num_degraded = partly_degraded(_deployed(faces.images[chosen], spec), degraded_share, seed)
    return CalibrationFaces(images, f"{split} of {path.name}", seed, num_degraded)


def _faces_of(path: Path, split: str, ferplus: Path | None = None) -> Faces:
    try:
        faces = read_faces(path, ferplus=ferplus)
        if ferplus is not None:
            faces = relabel_by_votes(faces, train_split="")
    except FerTrainError as err:
        raise ArtifactError(str(err)) from err
    found = faces.select(faces.splits == split)
    if not len(found):
        known = ", ".join(faces.counts())
        raise ArtifactError(f"{path} has no split {split!r}; it has {known}. Fix: --split or --calibration-split")
    return found


def _deployed(images: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.uint8]:
    """Preprocess gray faces (N, H, W) uint8 as the live loop does, with whole images as boxes; return (N, 1, H, W)."""
    height, width = images.shape[1:]
    return np.concatenate([images_from_boxes(face, [Box(0, 0, width, height)], spec.input) for face in images])
