"""FER+ (Barsoum et al. 2016, arXiv 1608.01041): ten taggers' votes for each FER2013 row."""

import csv
from pathlib import Path

import numpy as np

from fer_train.data.csv_file import USAGES
from fer_train.data.faces import Faces
from fer_train.errors import DataError

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""The vote columns of fer2013new.csv; "NF" is "not a face"."""


def join_votes(faces: Faces, path: Path) -> Faces:
    """Return the faces with `votes` filled from FER+'s fer2013new.csv, row i of it for row i of the source.

    Raises:
        DataError: not that file, another number of rows, a row of another split, or votes that are no numbers.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataError(f"cannot read FER+ votes {path}: {err}") from err
    missing = [name for name in ("Usage", *VOTES) if not rows or name not in rows[0]]
    if missing:
        raise DataError(f"{path} is not FER+'s fer2013new.csv: no column {', '.join(missing)}")
    if len(rows) <= faces.rows.max() or len(rows) != _num_source_rows(faces):
        raise DataError(
            f"{path} has {len(rows):,} rows but the faces have {_num_source_rows(faces):,}; "
            "FER+ joins row by row. Fix: use the CSV that it was made for"
        )
    votes = np.zeros((len(faces), len(VOTES)), dtype=np.uint8)
    for i, row_number in enumerate(faces.rows):
        row, line = rows[row_number], int(row_number) + 2
        if row["Usage"] != faces.splits[i] and str(faces.splits[i]) in USAGES:
            raise DataError(f"{path} line {line}: Usage is {row['Usage']!r}, the face there is of {faces.splits[i]!r}")
        try:
            votes[i] = [int(row[name]) for name in VOTES]
        except (TypeError, ValueError, OverflowError) as err:
            raise DataError(f"{path} line {line}: votes are not ten whole numbers ({err})") from err
    return Faces(faces.images, faces.labels, faces.splits, faces.rows, faces.source_sha256, votes)


def _num_source_rows(faces: Faces) -> int:
    return int(faces.rows.max()) + 1
