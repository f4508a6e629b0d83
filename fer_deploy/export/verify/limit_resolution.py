"""Find limits that are finer than one face: with few faces, "99.5 % the same" means "all the same"."""

from collections.abc import Iterator

from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.verify.scores import Limits


def finer_than_a_face(limits: Limits, faces: VerificationFaces, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return descriptions of the limits that allow some loss but that one face exceeds.

    A limit of zero is intentional. Limits of recall and of slices always allow one face.

    Args:
        limits: limits of a variant.
        faces: faces of the verification.
        labels: labels of the model.
    """
    return tuple(
        f"{name} allows {100 * share:g} % of {num} {what}, which is less than one"
        for name, share, num, what in _shares(limits, faces, labels)
        if 0 < share * num < 1 - 1e-9
    )


def _shares(limits: Limits, faces: VerificationFaces, labels: tuple[str, ...]) -> Iterator[tuple[str, float, int, str]]:
    """Yield each limit's name, the allowed share of faces, their number, and their description."""
    yield "min_agreement", round(1 - limits.min_agreement, 9), len(faces), "faces"
    if faces.labels is not None:
        yield "max_accuracy_drop", limits.max_accuracy_drop / 100, len(faces), "faces"
