"""Splits by name, and the two protocols: official (every row) and clean (no pixel twin in another split)."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import Faces
from fer_train.data.readers.row_list import read_row_numbers
from fer_train.errors import DataError, SplitAbsentError

__all__ = ["apply_protocol", "few_faces", "find_leaked", "pixel_hashes", "read_row_numbers", "take_split"]


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


def few_faces(faces: Faces, counts: Mapping[str, int]) -> Faces:
    """Return about so many faces of each split named, in the shares that its classes have; no other splits.

    A class of which the split has any keeps at least one face, which may add one for each class.
    """
    keep = np.zeros(len(faces), dtype=bool)
    for split, count in counts.items():
        at = np.flatnonzero(faces.splits == split)
        by_class = at[np.argsort(faces.labels[at], kind="stable")]
        labels = faces.labels[by_class]
        keep[by_class[np.linspace(0, len(at) - 1, min(count, len(at)), dtype=int)]] = True
        keep[by_class[np.unique(labels, return_index=True)[1]]] = True
    return faces.select(keep)


def pixel_hashes(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return (N,) digests of 16 bytes; equal digests mean identical pixels."""
    return np.array([hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images], dtype="S16")


def apply_protocol(
    faces: Faces,
    protocol: str,
    train_split: str,
    twin_rows: NDArray[np.int64] | None = None,
    *,
    exclude_rows: NDArray[np.int64] | None = None,
) -> Faces:
    """Return the faces to train and validate on.

    Args:
        faces: all splits.
        protocol: "official" keeps every row; "clean" drops each row of `train_split` whose pixels also
            stand in another split, or whose row number is in `twin_rows`.
        train_split: name of the split that is cleaned; other splits are never touched.
        twin_rows: row numbers known to have a twin in a split that is not in this copy.
        exclude_rows: row numbers that the user leaves out under either protocol.

    Raises:
        DataError: row numbers were given and the faces have none.
    """
    needed = exclude_rows is not None or (protocol == "clean" and twin_rows is not None)
    if needed and (faces.rows < 0).any():
        raise DataError("row numbers to leave out were given, but the image files carry none. Fix: use fer2013.csv")
    out = np.zeros(len(faces), dtype=bool) if exclude_rows is None else np.isin(faces.rows, exclude_rows)
    if protocol == "clean":
        out |= find_leaked(faces, train_split)
        if twin_rows is not None:
            out |= np.isin(faces.rows, twin_rows)
    return faces.select(~(out & (faces.splits == train_split)))


def find_leaked(faces: Faces, train_split: str) -> NDArray[np.bool_]:
    """Return (N,) bool: faces of `train_split` whose pixels also stand in another split."""
    hashes = pixel_hashes(faces.images)
    is_train = faces.splits == train_split
    return np.asarray(is_train & np.isin(hashes, hashes[~is_train]))
