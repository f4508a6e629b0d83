"""The saved inputs of a pack: drawn faces, so that a pack contains no person's face."""

from typing import Final

from fer_deploy.bench.agreement import SOURCE, drawn_images
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.spec import InputSpec

NUM_FACES: Final = 64
"""Faces of a pack, as many as the largest batch of a plan."""


def drawn_faces(spec: InputSpec) -> VerificationFaces:
    """Return faces of two drawn people with mixed expressions, moved, scaled, lit and noisy; the same on each call."""
    return VerificationFaces(drawn_images(spec, NUM_FACES), None, SOURCE)
