"""Limits that are finer than one face: with few faces, "99.5 % the same" means "all the same"."""

from collections.abc import Iterator, Mapping

import numpy as np

from fer_deploy.export.faces import JudgedFaces
from fer_deploy.export.slices import Slice
from fer_deploy.export.verify import Limits


def finer_than_a_face(
    limits: Limits, faces: JudgedFaces, slices: Mapping[Slice, JudgedFaces], labels: tuple[str, ...]
) -> tuple[str, ...]:  # fmt: skip
    """Return the limits that one face breaks although they allow some loss, in words. A limit of nothing is meant so.

    Args:
        limits: of a variant.
        faces: that it is judged on.
        slices: and their degraded copies.
        labels: of the model.
    """
    return tuple(
        f"{name} allows {100 * share:g} % of {num} {what}, which is less than one"
        for name, share, num, what in _shares(limits, faces, slices, labels)
        if 0 < share * num < 1 - 1e-9
    )


def _shares(
    limits: Limits, faces: JudgedFaces, slices: Mapping[Slice, JudgedFaces], labels: tuple[str, ...]
) -> Iterator[tuple[str, float, int, str]]:  # fmt: skip
    """Yield each limit's name, the share of faces that it allows, their number, and what they are."""
    yield "min_agreement", round(1 - limits.min_agreement, 9), len(faces), "faces"
    for kind, part in slices.items():
        required = limits.min_slice_agreement.get(kind)
        if required is not None:
            yield f"min_slice_agreement.{kind}", round(1 - required, 9), len(part), f"{kind} faces"
    if faces.labels is not None:
        yield "max_accuracy_drop", limits.max_accuracy_drop / 100, len(faces), "faces"
        counts = np.bincount(faces.labels, minlength=len(labels))
        num, label = min((int(count), label) for count, label in zip(counts, labels, strict=True) if count)
        yield "max_recall_drop", limits.max_recall_drop / 100, num, f"{label} faces"
