"""FER+ (Barsoum et al. 2016, arXiv 1608.01041): ten taggers' votes for each FER2013 row."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_train.data.cache import file_sha256
from fer_train.data.csv_file import USAGES
from fer_train.data.faces import Faces
from fer_train.errors import DataError

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""The vote columns of fer2013new.csv; "NF" is "not a face"."""

_FIX = "Fix: --ferplus with the whole fer2013new.csv of github.com/microsoft/FERPlus, as it is"


def join_votes(faces: Faces, path: Path) -> Faces:
    """Return the faces with `votes` filled from FER+'s fer2013new.csv, row i of it for row i of the source.

    The file may be longer than the faces: a copy without PrivateTest joins the full one.

    Raises:
        DataError: not that file, too few rows, faces without row numbers, a row of another split, or bad votes.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataError(f"cannot read FER+ votes {path}: {err}. {_FIX}") from err
    missing = [name for name in ("Usage", *VOTES) if not rows or name not in rows[0]]
    if missing:
        raise DataError(f"{path} is not FER+'s fer2013new.csv: no column {', '.join(missing)}. {_FIX}")
    if (faces.rows < 0).any():
        raise DataError(f"cannot join {path}: the image files carry no row numbers. Fix: use fer2013.csv as --data")
    if len(rows) <= faces.rows.max():
        raise DataError(
            f"{path} has {len(rows):,} rows but the faces go up to row {faces.rows.max():,}; FER+ joins row by row. "
            f"{_FIX}"
        )
    votes = np.zeros((len(faces), len(VOTES)), dtype=np.uint8)
    for i, row_number in enumerate(faces.rows):
        row, line = rows[row_number], int(row_number) + 2
        if row["Usage"] != faces.splits[i] and str(faces.splits[i]) in USAGES:
            raise DataError(
                f"{path} line {line}: Usage is {row['Usage']!r}, the face there is of {str(faces.splits[i])!r}. {_FIX}"
            )
        try:
            votes[i] = [int(row[name]) for name in VOTES]
        except (TypeError, ValueError, OverflowError) as err:
            raise DataError(f"{path} line {line}: votes are not ten whole numbers ({err}). {_FIX}") from err
    return replace(faces, votes=votes, votes_sha256=file_sha256(path))
