"""Find near duplicates by the normalized cross-correlation of thumbnails, mirrored ones too."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_train.audit.duplicates import describe_face
from fer_train.audit.findings import Finding
from fer_train.data.faces import Faces

SIDE = 16
"""Side of a thumbnail in pixels: small enough to tolerate compression and a shift by one pixel."""
NUM_COMPONENTS = 32
_BLOCK = 512
_SLACK = 1e-4
"""More than the rounding of a float32 product of `NUM_COMPONENTS` terms."""


@dataclass(frozen=True)
class Pair:
    """Two images (not faces), `first` < `second`, with their correlation, 0 to 1; `mirrored`: one is flipped."""

    first: int
    second: int
    correlation: float
    mirrored: bool


def find_near_pairs(
    images: NDArray[np.uint8], threshold: float, on_block: Callable[[int, int], None] = lambda done, total: None
) -> list[Pair]:
    """Return all pairs of images with a correlation of at least `threshold`, plain or mirrored.

    Exact, with far fewer than N x N x 256 operations: by Cauchy-Schwarz the product of two thumbnails is at most the
    product of their main components plus the product of the lengths of their remainders. Only pairs whose bound
    reaches the threshold are computed in full.

    Args:
        images: (N, S, S) uint8, S a multiple of 16, all different.
        threshold: 0 to 1.
        on_block: called with (rows done, N).
    """
    plain = thumbnails(images)
    mirrored = thumbnails(images[:, :, ::-1])
    basis = np.linalg.eigh(plain.T @ plain + mirrored.T @ mirrored)[1][:, -NUM_COMPONENTS:]
    bounds = _bound_vectors(plain, basis)
    found: dict[tuple[int, int], Pair] = {}
    others = ((plain, bounds, False), (mirrored, _bound_vectors(mirrored, basis), True))
    for start in range(0, len(images), _BLOCK):
        for other, other_bounds, is_mirrored in others:
            hits = bounds[start : start + _BLOCK] @ other_bounds[start:].T >= threshold - _SLACK
            first, second = (start + side for side in np.nonzero(hits))
            first, second = first[second > first], second[second > first]
            correlations = np.einsum("nd,nd->n", plain[first], other[second])
            for i, j, value in zip(first.tolist(), second.tolist(), correlations.tolist(), strict=True):
                if value >= threshold and ((i, j) not in found or value > found[i, j].correlation):
                    found[i, j] = Pair(i, j, min(value, 1.0), is_mirrored)
        on_block(min(start + _BLOCK, len(images)), len(images))
    return [found[key] for key in sorted(found)]


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (N, 256) float32 with mean 0 and length 1, so a product is a correlation; zeros for flat images."""
    scale = images.shape[1] // SIDE
    small = np.empty((len(images), SIDE * SIDE), dtype=np.float32)
    for start in range(0, len(images), _BLOCK):  # in blocks: float32 needs four times the memory of the images
        block = images[start : start + _BLOCK].reshape(-1, SIDE, scale, SIDE, scale)
        small[start : start + _BLOCK] = block.mean(axis=(2, 4), dtype=np.float32).reshape(-1, SIDE * SIDE)
    small -= small.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(np.divide(small, lengths, out=np.zeros_like(small), where=lengths > 1e-3))


def _bound_vectors(vectors: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, NUM_COMPONENTS + 1): the components and the length of the remainder of unit vectors."""
    components = vectors @ basis
    rest = np.sqrt(np.maximum((vectors**2).sum(axis=1) - (components**2).sum(axis=1), 0))
    return np.column_stack([components, rest])


def find_near(faces: Faces, image_numbers: NDArray[np.int64], pairs: list[Pair], train_split: str) -> list[Finding]:
    """Return near_duplicate and near_leaked findings for every face whose image is in a pair.

    Args:
        faces: all splits.
        image_numbers: (N,) the image number of each face; `pairs` contains these numbers.
        pairs: result of `find_near_pairs`.
        train_split: a face of this split is near_leaked if another split has a near duplicate but no exact one.
    """
    twins: dict[int, list[tuple[Pair, int]]] = {}
    for pair in sorted(pairs, key=lambda pair: -pair.correlation):
        twins.setdefault(pair.first, []).append((pair, pair.second))
        twins.setdefault(pair.second, []).append((pair, pair.first))
    members: dict[int, list[int]] = {image: [] for image in twins}
    for index in np.flatnonzero(np.isin(image_numbers, list(twins))).tolist():
        members[int(image_numbers[index])].append(index)
    groups = _connect(pairs)
    findings = []
    for image, copies in members.items():
        neighbors = [(pair, i) for pair, twin in twins[image] for i in members[twin]]
        leaks = [(pair, i) for pair, i in neighbors if faces.splits[i] != train_split]
        has_exact_leak = any(faces.splits[i] != train_split for i in copies)
        for index in copies:
            findings.append(Finding(index, "near_duplicate", _describe(faces, index, neighbors), groups[image]))
            if leaks and faces.splits[index] == train_split and not has_exact_leak:
                findings.append(Finding(index, "near_leaked", _describe(faces, index, leaks), groups[image]))
    return sorted(findings, key=lambda finding: (finding.group, finding.index))


def _describe(faces: Faces, index: int, neighbors: list[tuple[Pair, int]]) -> str:
    """Describe the nearest neighbors of a face, the nearest first."""
    texts = []
    for pair, i in neighbors[:4]:
        mirrored = ", mirrored" if pair.mirrored else ""
        differs = ", another label" if faces.labels[i] != faces.labels[index] else ""
        texts.append(f"{describe_face(faces, i)} ({pair.correlation:.4f}{mirrored}{differs})")
    more = f" and {len(neighbors) - 4} more" if len(neighbors) > 4 else ""
    return f"like {', '.join(texts)}{more}"


def _connect(pairs: list[Pair]) -> dict[int, int]:
    """Return the group of each image: the smallest image number that pairs connect with it."""
    parents: dict[int, int] = {}

    def root(image: int) -> int:
        parents.setdefault(image, image)
        while parents[image] != image:
            image = parents[image]
        return image

    for pair in pairs:
        low, high = sorted((root(pair.first), root(pair.second)))
        parents[high] = low
    return {image: root(image) for image in list(parents)}
