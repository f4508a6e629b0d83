"""Flags that several commands share, and the reading of data that belongs to them."""

import logging
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from fer_train.config import TrainConfig
from fer_train.data import Faces, apply_protocol, read_faces
from fer_train.data.splits import read_row_numbers

PATH = click.Path(path_type=Path)

data = click.option(
    "--data", "data_path", required=True, type=PATH,
    help="fer2013.csv, icml_face_data.csv, or a folder with train/<class>/ and test/<class>/.",
)  # fmt: skip
device = click.option("--device", default=None, help="auto, cpu, cuda or cuda:N.")
ferplus = click.option("--ferplus", type=PATH, help="FER+ votes (fer2013new.csv), joined row by row.")
twin_rows = click.option(
    "--twin-rows", type=PATH,
    help="Row numbers left out under the clean protocol: twins of a split that this copy lacks.",
)  # fmt: skip
exclude = click.option(
    "--exclude", type=PATH, help="Training rows to leave out: exclude.csv of fer-train audit, or one number a line."
)


def load_training_faces(
    config: TrainConfig, data_path: Path, *, ferplus: Path | None = None, twin_rows: Path | None = None,
    exclude: Path | None = None,
) -> Faces:  # fmt: skip
    """Read the faces and apply the config's protocol and the user's exclusions.

    Raises:
        DataError: a file that cannot be used.
    """
    faces = read_faces(data_path, ferplus=ferplus)
    kept = apply_protocol(
        faces, config.protocol, config.train_split, _rows(twin_rows), exclude_rows=_rows(exclude)
    )  # fmt: skip
    logging.info("%s protocol leaves out %d rows: %s", config.protocol, len(faces) - len(kept), kept.counts())
    return kept


def _rows(path: Path | None) -> NDArray[np.int64] | None:
    return None if path is None else read_row_numbers(path)
