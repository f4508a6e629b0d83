"""The one bridge to fer_train: its checkpoints and its data, as this package's types."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fer_deploy.errors import ArtifactError
from fer_deploy.spec import ModelSpec, spec_from_json
from fer_train.checkpoint import load_release, read_spec_json
from fer_train.data import read_faces
from fer_train.errors import FerTrainError


def load_checkpoint(path: Path) -> tuple[nn.Module, ModelSpec]:
    """Return the model, in eval mode on the CPU, and its validated ModelSpec.

    Raises:
        ArtifactError: missing, truncated or foreign file.
    """
    try:
        spec = spec_from_json(read_spec_json(path), where=str(path))
        model, _ = load_release(path)
    except FerTrainError as err:
        raise ArtifactError(str(err)) from err
    return model, spec


def load_faces(path: Path, limit: int, image_size: int) -> NDArray[np.uint8]:
    """Return up to `limit` faces, (N, 1, image_size, image_size) uint8, spread evenly over the data set.

    Raises:
        ArtifactError: not a readable FER2013 CSV or folder.
    """
    try:
        faces = read_faces(path)
    except FerTrainError as err:
        raise ArtifactError(str(err)) from err
    chosen = np.zeros(len(faces), dtype=np.bool_)
    chosen[np.linspace(0, len(faces) - 1, limit, dtype=np.int64)] = True
    return faces.select(chosen).resized(image_size).images[:, None]
