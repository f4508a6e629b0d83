"""Limits that are finer than one face: with few faces, "99.5 % the same" means "all the same"."""

from collections.abc import Iterator

from fer_deploy.export.faces import JudgedFaces
from fer_deploy.export.verify.scores import Limits


def finer_than_a_face(limits: Limits, faces: JudgedFaces, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the limits that one face breaks although they allow some loss, in words.

    A limit of nothing is meant so. Limits of recall and of slices let one face pass.

    Args:
        limits: of a variant.
        faces: that it is judged on.
        labels: of the model.
    """
    return tuple(
        f"{name} allows {100 * share:g} % of {num} {what}, which is less than one"
        for name, share, num, what in _shares(limits, faces, labels)
        if 0 < share * num < 1 - 1e-9
    )


def _shares(limits: Limits, faces: JudgedFaces, labels: tuple[str, ...]) -> Iterator[tuple[str, float, int, str]]:
    """Yield each limit's name, the share of faces that it allows, their number, and what they are."""
    yield "min_agreement", round(1 - limits.min_agreement, 9), len(faces), "faces"
    if faces.labels is not None:
        yield "max_accuracy_drop", limits.max_accuracy_drop / 100, len(faces), "faces"
