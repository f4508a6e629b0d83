"""Prepare an export: faces to verify and to calibrate on, slices of them, and notes about limits that are too fine."""

from fer_deploy.export.checkpoint import draw_calibration_faces, load_verification_faces
from fer_deploy.export.clip_faces import clip_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.faces import CalibrationFaces, VerificationFaces
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.limit_resolution import finer_than_a_face
from fer_deploy.export.verify.portrait import SOURCE, portrait_faces
from fer_deploy.export.verify.slice_agreement import faces_by_slice
from fer_deploy.export.verify.slices import Slice
from fer_deploy.spec import ModelSpec


def verification_faces(config: ExportConfig, spec: ModelSpec) -> VerificationFaces:
    """Return the faces of the config's data, or those of the portrait."""
    if config.data is None:
        return VerificationFaces(portrait_faces(spec.input), None, SOURCE)
    return load_verification_faces(
        config.data, split=config.split, limit=config.num_faces, spec=spec, ferplus=config.ferplus
    )


def calibration_faces(config: ExportConfig, spec: ModelSpec) -> CalibrationFaces | None:
    """Return faces for INT8 ranges, before the export starts, so a wrong split fails early; None: no INT8."""
    if config.data is None or not any(variant.scheme for variant in config.chosen):
        return None
    how = config.calibration
    return draw_calibration_faces(
        config.data, split=how.split, count=how.num_faces, seed=how.seed, spec=spec, degraded_share=how.degraded_share
    )


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
