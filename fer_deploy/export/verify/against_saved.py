"""Verify an artifact against saved inputs and logits: on a machine without PyTorch, the checkpoint or data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fer_deploy.engines.base import Device
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.compare import Comparison, breaches_of, compare
from fer_deploy.export.verify.opening import open_for_verification, stage_of
from fer_deploy.export.verify.saved_io import SavedIO
from fer_deploy.export.verify.scores import Limits


def verify_saved(
    artifact: Path, saved: SavedIO, limits_of: Callable[[Variant], Limits], *, where: str, device: Device = "auto"
) -> Comparison:
    """Compare an ONNX file or a plan with saved logits; the result contains exceeded limits.

    Args:
        artifact: .onnx or .plan.
        saved: inputs and logits of its model.
        limits_of: returns the limits of a variant. Limits of accuracy and of slices need labelled faces, so they are
            not checked.
        where: the file of `saved`, for errors.
        device: where the artifact runs.

    Raises:
        ArtifactError: the artifact cannot be used.
        EngineError: it does not run on this machine.
        ExportError: it is another model than the saved one.
        MissingDependencyError: the package that runs it is not installed.
        VerificationError: it failed while running.
    """
    engine, variant = open_for_verification(artifact, device)
    with engine:
        saved.require_model(engine.spec, artifact=artifact, where=where)
        found = compare(saved.as_reference(), engine, artifact=artifact.name, stage=stage_of(artifact, variant))
    return replace(found, breaches=breaches_of(found, limits_of(variant)))
