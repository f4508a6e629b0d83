"""Select splits by name, and apply a protocol: official (every row) or clean (no identical pixels in another split)."""

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
        SplitAbsentError: the data have no such split; the message lists the existing ones.
    """
    keep = faces.splits == name
    if not keep.any():
        there = ", ".join(f"{split} ({count:,})" for split, count in faces.counts().items())
        raise SplitAbsentError(
            f"this copy of the data has no split {name!r}. It has {there}. Fix: --split or --validation-split NAME"
        )
    return faces.select(keep)


def few_faces(faces: Faces, counts: Mapping[str, int]) -> Faces:
    """Return about `counts[split]` faces of each named split, with the class shares of that split; no other splits.

    Every class of the split keeps at least one face, which may add one face per class.
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
            appear in another split, or whose row number is in `twin_rows`.
        train_split: name of the split to clean; other splits never change.
        twin_rows: row numbers of known twins of faces in a split that this copy lacks.
        exclude_rows: row numbers that the user excludes under either protocol.

    Raises:
        DataError: there are row numbers to exclude, but the faces have no row numbers.
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
    """Return (N,) bool: the faces of `train_split` whose pixels also appear in another split."""
    hashes = pixel_hashes(faces.images)
    is_train = faces.splits == train_split
    return np.asarray(is_train & np.isin(hashes, hashes[~is_train]))
