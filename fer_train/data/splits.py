"""Splits by name, and the two protocols: official (every row) and clean (no pixel twin in another split)."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import Faces
from fer_train.errors import DataError, SplitAbsentError


def take_split(faces: Faces, name: str) -> Faces:
    """Return the faces of one split.

    Raises:
        SplitAbsentError: there is none of that name; the message lists those there are.
    """
    keep = faces.splits == name
    if not keep.any():
        there = ", ".join(f"{split} ({count:,})" for split, count in faces.counts().items())
        raise SplitAbsentError(
            f"this copy of the data has no split {name!r}. It has {there}. Fix: --split or --validation-split NAME"
        )
    return faces.select(keep)


def pixel_hashes(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return (N,) digests of 16 bytes; equal digests mean identical pixels."""
    return np.array([hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images], dtype="S16")


def apply_protocol(faces: Faces, protocol: str, train_split: str, twin_rows: NDArray[np.int64] | None = None) -> Faces:
    """Return the faces to train and validate on.

    Args:
        faces: all splits.
        protocol: "official" keeps every row; "clean" drops each row of `train_split` whose pixels also
            stand in another split, or whose row number is in `twin_rows`.
        train_split: name of the split that is cleaned.
        twin_rows: row numbers known to have a twin in a split that is not in this copy.

    Raises:
        DataError: `twin_rows` were given and the faces have no row numbers.
    """
    if protocol == "official":
        return faces
    if twin_rows is not None and (faces.rows < 0).any():
        raise DataError("row numbers to leave out were given, but the image files carry none. Fix: use fer2013.csv")
    hashes = pixel_hashes(faces.images)
    is_train = faces.splits == train_split
    leaked = np.isin(hashes, hashes[~is_train])
    if twin_rows is not None:
        leaked |= np.isin(faces.rows, twin_rows)
    return faces.select(~(is_train & leaked))


def read_twin_rows(path: Path) -> NDArray[np.int64]:
    """Read row numbers, one a line; lines that begin with # are comments.

    Raises:
        DataError: the file is missing or a line is no row number (named by line).
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"cannot read row numbers from {path}: {err}") from err
    rows = []
    for number, line in enumerate(lines, start=1):
        text = line.split("#", 1)[0].strip()
        if text and not text.isdecimal():
            raise DataError(f"{path} line {number}: {text[:40]!r} is not a row number")
        if text:
            rows.append(int(text))
    return np.array(rows, dtype=np.int64)
