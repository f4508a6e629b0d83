"""Labelled data sets in memory: one form for all file formats."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_train.label_names import EMOTIONS, FERPLUS_EMOTIONS

__all__ = [
    "EMOTIONS",
    "FACE_SIZE",
    "FERPLUS_EMOTIONS",
    "LABELS_IN_WORDS",
    "LABEL_SETS",
    "Faces",
    "RowList",
    "labels_for",
    "resize_face",
]
LABEL_SETS: dict[str, tuple[str, ...]] = {"fer2013": EMOTIONS, "ferplus": FERPLUS_EMOTIONS}
"""Label set to its classes."""
LABELS_IN_WORDS = {"fer2013": "FER2013's labels", "ferplus": "FER+ majority"}
FACE_SIZE = 48


def labels_for(num_classes: int, label_set: str = "fer2013") -> list[str]:
    """Return the class names: those of the label set if the number matches, else class_0, class_1, ..."""
    names = LABEL_SETS[label_set]
    return list(names) if num_classes == len(names) else [f"class_{c}" for c in range(num_classes)]


def own_label_set(spec: Mapping[str, Any]) -> str:
    """Return the label set that a model predicts; FER2013's if its ModelSpec names none."""
    found: str = spec.get("label_set") or "fer2013"
    return found


def labels_in_words(label_set: str, names: Sequence[str]) -> str:
    """Return a title for the label set of a measurement; `names` are the measured classes."""
    return LABELS_IN_WORDS[label_set] if has_classes_of(label_set, names) else "labels of the data"


def has_classes_of(label_set: str, names: Sequence[str]) -> bool:
    """Return whether `names` and a label set share at least two classes, so that a measurement is possible."""
    return len(set(names) & set(LABEL_SETS[label_set])) > 1


@dataclass(frozen=True)
class RowList:
    """A file of row numbers that excluded training rows.

    Attributes:
        flag: flag of the command line that named it, such as "--exclude".
        file: file name without the folder.
        sha256: SHA-256 of the file.
        num_rows: number of rows of the training split in it; some may be excluded for another reason as well.
    """

    flag: str
    file: str
    sha256: str
    num_rows: int


@dataclass(frozen=True, eq=False)
class Faces:
    """Labelled faces; all arrays have the same length N.

    Attributes:
        images: (N, 48, 48) uint8, gray; another side after `resized`.
        labels: (N,) int64, indices into the classes of `label_set`.
        splits: (N,) str, the name of the split in the source, such as "Training".
        rows: (N,) int64, the row number in Kaggle's CSV, counted from 0; -1 if unknown.
        source_sha256: SHA-256 of the source of the faces.
        votes: (N, 10) uint8 counts of FER+ taggers, in `ferplus.VOTES` order, or None.
        row_lists: the files that excluded rows.
        votes_sha256: SHA-256 of the file of votes, or "".
        label_set: key of `LABEL_SETS`.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.str_]
    rows: NDArray[np.int64]
    source_sha256: str
    votes: NDArray[np.uint8] | None = None
    row_lists: tuple[RowList, ...] = ()
    votes_sha256: str = ""
    label_set: str = "fer2013"

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, keep: NDArray[np.bool_]) -> Self:
        """Return the faces for which `keep`, (N,) bool, is True."""
        votes = None if self.votes is None else self.votes[keep]
        return replace(
            self,
            images=self.images[keep],
            labels=self.labels[keep],
            splits=self.splits[keep],
            rows=self.rows[keep],
            votes=votes,
        )

    def resized(self, image_size: int) -> Self:
        """Return the faces with images of (image_size, image_size) pixels."""
        if self.images.shape[1] == image_size:
            return self
        return replace(self, images=np.stack([resize_face(image, image_size) for image in self.images]))

    def digest(self) -> str:
        """Return a hex digest of pixels, labels, splits and votes; equal for the same faces in the same order."""
        content = hashlib.blake2b(digest_size=16)
        for part in (self.images, self.labels, self.splits, *(() if self.votes is None else (self.votes,))):
            content.update(np.ascontiguousarray(part).tobytes())
        return content.hexdigest()

    def counts(self) -> dict[str, int]:
        """Return the number of faces in each split, in order of first appearance."""
        names, first, counts = np.unique(self.splits, return_index=True, return_counts=True)
        return {str(names[i]): int(counts[i]) for i in np.argsort(first)}


def resize_face(crop_gray: NDArray[np.uint8], image_size: int = FACE_SIZE) -> NDArray[np.uint8]:
    """Resize a gray crop (H, W) uint8 to (image_size, image_size); area averaging if it shrinks.

    Reference for the deployed preprocessing. An image that already has this size is returned unchanged.
    """
    height, width = crop_gray.shape
    if (height, width) == (image_size, image_size):
        return crop_gray
    shrinks = min(height, width) >= image_size
    resized = cv2.resize(
        crop_gray, (image_size, image_size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return np.asarray(resized, dtype=np.uint8)
