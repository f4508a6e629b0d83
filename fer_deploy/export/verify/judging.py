"""What artifacts are judged on besides the clean faces, and what to know of it before the work begins."""

from fer_deploy.export.clip_faces import clip_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.faces import JudgedFaces
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.limit_resolution import finer_than_a_face
from fer_deploy.export.verify.slice_agreement import faces_by_slice
from fer_deploy.export.verify.slices import Slice
from fer_deploy.spec import ModelSpec


def slices_of(config: ExportConfig, faces: JudgedFaces, spec: ModelSpec) -> dict[Slice, JudgedFaces]:
    """Return the faces of each slice, see `faces_by_slice`; those of the clip are among them where one is named."""
    video = None if config.clip is None else clip_faces(config.clip, spec.input, config.slice_faces)
    return faces_by_slice(faces, config.slice_faces, video)


def notes_on(
    config: ExportConfig, variants: tuple[Variant, ...], faces: JudgedFaces, spec: ModelSpec
) -> tuple[str, ...]:
    """Return what to know before the work: limits that one face breaks."""
    finer = {v: finer_than_a_face(config.limits_of(v), faces, spec.labels) for v in variants}
    return tuple(
        f"limits of {variant}: {'; '.join(found)}: one face breaks it. Fix: more faces, or a wider limit"
        for variant, found in finer.items()
        if found
    )
