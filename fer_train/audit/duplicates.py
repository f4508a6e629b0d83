"""Find identical pixels: groups, leakage between splits, contradictory labels, redundant copies."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fer_train.audit.findings import Finding
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.splits import find_leaked, pixel_hashes


def number_images(faces: Faces) -> NDArray[np.int64]:
    """Return (N,) image numbers, 0 to U-1 by first appearance; identical pixels share a number."""
    _, first, inverse = np.unique(pixel_hashes(faces.images), return_index=True, return_inverse=True)
    numbers = np.empty(len(first), dtype=np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return np.asarray(numbers[inverse])


def find_exact(faces: Faces, image_numbers: NDArray[np.int64], train_split: str) -> list[Finding]:
    """Return exact_duplicate, contradictory, leaked and redundant findings, group by group.

    Args:
        faces: all splits.
        image_numbers: (N,) from `number_images`; they become the groups of the findings.
        train_split: the split from which leaked, redundant and contradictory copies would be dropped. Copies in
            other splits can only be exact_duplicate and contradictory findings.
    """
    leaked = find_leaked(faces, train_split)
    findings: list[Finding] = []
    for group in _groups(image_numbers):
        members = ", ".join(describe_face(faces, i) for i in group)
        seen = f"same pixels: {members}"
        number = int(image_numbers[group[0]])
        findings += [Finding(i, "exact_duplicate", seen, number) for i in group]
        findings += [Finding(i, "leaked", seen, number) for i in group if leaked[i]]
        labels = Counter(EMOTIONS[faces.labels[i]] for i in group)
        train = [i for i in group if faces.splits[i] == train_split]
        if len(labels) > 1:
            counted = ", ".join(f"{label} x{count}" for label, count in labels.most_common())
            findings += [Finding(i, "contradictory", f"labels of these pixels: {counted}", number) for i in group]
        else:
            kept = [f"same pixels and label as {describe_face(faces, i)}" for i in train[:1]]
            findings += [Finding(i, "redundant", kept[0], number) for i in train[1:]]
    return findings


def describe_face(faces: Faces, index: int) -> str:
    """Return split and row, such as "Training 120"; without row numbers the position, such as "Training #120"."""
    row = int(faces.rows[index])
    return f"{faces.splits[index]} {row if row >= 0 else f'#{index}'}"


def _groups(image_numbers: NDArray[np.int64]) -> Iterator[list[int]]:
    """Yield the members of each group of two or more, in the order of the first member."""
    order = np.argsort(image_numbers, kind="stable")
    starts = np.flatnonzero(np.diff(image_numbers[order])) + 1
    groups = [part.tolist() for part in np.split(order, starts) if len(part) > 1]
    yield from sorted(groups)
