"""Prepare a verification: the faces of the slices, and notes about limits that are too fine."""

from fer_deploy.export.clip_faces import clip_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.limit_resolution import finer_than_a_face
from fer_deploy.export.verify.slice_agreement import faces_by_slice
from fer_deploy.export.verify.slices import Slice
from fer_deploy.spec import ModelSpec


def slices_of(config: ExportConfig, faces: VerificationFaces, spec: ModelSpec) -> dict[Slice, VerificationFaces]:
    """Return the faces of each slice, including those of the config's clip, if any; see `faces_by_slice`."""
    video = None if config.clip is None else clip_faces(config.clip, spec.input, config.slice_faces)
    return faces_by_slice(faces, config.slice_faces, video)


def notes_on(
    config: ExportConfig, variants: tuple[Variant, ...], faces: VerificationFaces, spec: ModelSpec
) -> tuple[str, ...]:
    """Return notes about limits that a single face exceeds."""
    finer = {v: finer_than_a_face(config.limits_of(v), faces, spec.labels) for v in variants}
    return tuple(
        f"limits of {variant}: {'; '.join(found)}: one face exceeds it. Fix: more faces, or a wider limit"
        for variant, found in finer.items()
        if found
    )
