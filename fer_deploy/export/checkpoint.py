"""The one bridge to fer_train: its checkpoints and its data, as this package's types."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.export.faces import CalibrationFaces, JudgedFaces
from fer_deploy.export.verify.slices import partly_degraded
from fer_deploy.spec import ModelSpec, spec_from_json
from fer_deploy.vision.preprocess import images_from_boxes
from fer_deploy.vision.types import Box
from fer_train.checkpoint import load_release, read_spec_json
from fer_train.data import read_faces
from fer_train.data.consensus import relabel_by_votes
from fer_train.data.faces import LABEL_SETS, LABELS_IN_WORDS, Faces, labels_for
from fer_train.errors import FerTrainError


def load_checkpoint(path: Path) -> tuple[nn.Module, ModelSpec]:
    """Return the model, in eval mode on the CPU, and its validated ModelSpec.

    Raises:
        ArtifactError: missing, truncated or foreign file.
    """
    try:
        spec_from_json(read_spec_json(path), where=str(path))
        model, spec = load_release(path)
    except FerTrainError as err:
        raise ArtifactError(str(err)) from err
    return model, spec_from_json(json.dumps(spec), where=str(path))  # labels in the order of the loaded classifier


def load_judged_faces(
    path: Path, *, split: str, limit: int | None, spec: ModelSpec, ferplus: Path | None = None
) -> JudgedFaces:
    """Return labelled faces of a split, as the deployed preprocess makes them.

    Args:
        path: FER2013 as CSV or folder.
        split: its name in the data.
        limit: at most so many, evenly spread; None: all.
        spec: of the model that will judge them.
        ferplus: votes of FER+'s taggers; a model of FER+'s labels is then judged by their majority, on the faces that
            have one. Without it FER2013's labels count.

    Raises:
        ArtifactError: unreadable data, no such split, or labels that the model does not know.
    """
    faces = _faces_of(path, split, ferplus if spec.label_set == "ferplus" else None)
    against = LABELS_IN_WORDS[faces.label_set]
    numbered = tuple(labels_for(len(spec.labels)))  # classes of the user's own have numbers for names
    is_numbered = spec.labels == numbered and faces.labels.max() < len(numbered)
    names = numbered if is_numbered else LABEL_SETS[faces.label_set]
    position = {name: i for i, name in enumerate(spec.labels)}
    if unknown := sorted({names[label] for label in np.unique(faces.labels)} - position.keys()):
        raise ArtifactError(
            f"the model knows {', '.join(spec.labels)}; {path.name} is labelled {', '.join(names)}, and "
            f"{unknown[0]} is none of the model's. Fix: a model that was trained on these labels"
        )
    labels = np.array([position.get(name, 0) for name in names], dtype=np.int64)[faces.labels]
    found = JudgedFaces(_deployed(faces.images, spec), labels, f"{split} of {path.name}, {against}")
    return found if limit is None else found.at(found.positions(limit))


def draw_calibration_faces(
    path: Path, *, split: str, count: int, seed: int, spec: ModelSpec, degraded_share: float = 0.0
) -> CalibrationFaces:
    """Return `count` faces of a split, drawn without replacement, as the deployed preprocess makes them.

    Args:
        path: FER2013 as CSV or folder.
        split: its name in the data.
        count: how many.
        seed: of the draw, and of which of them are degraded.
        spec: of the model whose ranges they give.
        degraded_share: how many of them are dim, blurred and so on, see `slices`.

    Raises:
        ArtifactError: unreadable data or no such split.
        ConfigError: more faces than there are.
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
    """Bring gray faces (N, H, W) uint8 through the preprocess of the live loop: the whole image is the box."""
    height, width = images.shape[1:]
    return np.concatenate([images_from_boxes(face, [Box(0, 0, width, height)], spec.input) for face in images])
