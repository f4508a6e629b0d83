"""The one bridge to fer_train: its checkpoints and its data, as this package's types."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.export.faces import CalibrationFaces, JudgedFaces
from fer_deploy.spec import ModelSpec, spec_from_json
from fer_deploy.vision.preprocess import images_from_boxes
from fer_deploy.vision.types import Box
from fer_train.checkpoint import load_release, read_spec_json
from fer_train.data import read_faces
from fer_train.data.faces import LABEL_SETS, Faces, labels_for
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


def load_judged_faces(path: Path, *, split: str, limit: int | None, spec: ModelSpec) -> JudgedFaces:
    """Return labelled faces of a split, as the deployed preprocess makes them.

    Args:
        path: FER2013 as CSV or folder.
        split: its name in the data.
        limit: at most so many, evenly spread; None: all.
        spec: of the model that will judge them.

    Raises:
        ArtifactError: unreadable data, no such split, or labels that the model does not know.
    """
    faces = _faces_of(path, split)
    found = JudgedFaces(_deployed(faces.images, spec), _labels_as_known(faces, path, spec), f"{split} of {path.name}")
    return found if limit is None else found.at(found.positions(limit))


def _labels_as_known(faces: Faces, path: Path, spec: ModelSpec) -> NDArray[np.int64]:
    """Return the labels of the faces, (N,), as positions in the model's own list of labels."""
    names, known = LABEL_SETS[faces.label_set], list(spec.labels)
    present = [names[label] for label in np.unique(faces.labels)]
    if known == labels_for(len(known)) and known[0] not in names and faces.labels.max() < len(known):
        return faces.labels  # class_0, class_1, ...: numbers are all that there is
    if missing := [name for name in present if name not in known]:
        raise ArtifactError(
            f"the model knows {', '.join(known)[:300]}; {path.name} is labelled {', '.join(names)}. "
            f"Fix: data without {', '.join(missing)}, or a model that was trained on these classes"
        )
    return np.array([known.index(name) if name in known else -1 for name in names], dtype=np.int64)[faces.labels]


def draw_calibration_faces(path: Path, *, split: str, count: int, seed: int, spec: ModelSpec) -> CalibrationFaces:
    """Return `count` faces of a split, drawn without replacement, as the deployed preprocess makes them.

    Raises:
        ArtifactError: unreadable data or no such split.
        ConfigError: more faces than there are.
    """
    faces = _faces_of(path, split)
    if count > len(faces):
        raise ConfigError(f"calibration_faces is {count}, but {split} of {path.name} has {len(faces)}. Fix: fewer")
    chosen = np.sort(np.random.default_rng(seed).choice(len(faces), count, replace=False))
    return CalibrationFaces(_deployed(faces.images[chosen], spec), f"{split} of {path.name}", seed)


def _faces_of(path: Path, split: str) -> Faces:
    try:
        faces = read_faces(path)
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
