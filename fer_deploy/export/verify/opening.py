"""Open an exported artifact for its verification, by the runtime that shows what the file computes. No torch."""

from pathlib import Path

import onnx

from fer_deploy.engines import PLAN_SUFFIXES, open_engine
from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.onnxruntime.session import ORT_ERRORS, SessionRequest, require_bounded
from fer_deploy.errors import ArtifactError, ExportError
from fer_deploy.export.graph.source import read_onnx
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.exact_engine import ExactEngine
from fer_deploy.manifest import read_manifest
from fer_deploy.spec import VARIANT_KEY


def open_for_verification(path: Path, device: Device) -> tuple[Engine, Variant]:
    """Open an ONNX file or a plan, and return its engine and its variant, which sets its limits.

    Raises:
        ArtifactError: the file cannot be used.
        EngineError: it does not run on this device.
        ExportError: its variant is unknown, or ONNX Runtime has no kernel for a node.
        MissingDependencyError: the package that runs it is not installed.
    """
    if path.suffix in PLAN_SUFFIXES:
        variant = Variant(read_manifest(path).spec.precision.value)
        return open_engine(path, device=device), variant
    source = read_onnx(path)
    model = onnx.ModelProto.FromString(source.content)
    variant = variant_of(model, source.spec.precision.value, where=path)
    if variant is Variant.INT8 and device in ("auto", "cpu"):
        _require_bounded(path, source.content)
        return ExactEngine(model, source.spec), variant
    return open_engine(path, device=device), variant


def variant_of(model: onnx.ModelProto, precision: str, *, where: Path) -> Variant:
    """Return the variant in the file's metadata; an older file has none, and its precision says it.

    Raises:
        ExportError: this version does not know the variant.
    """
    named = {prop.key: prop.value for prop in model.metadata_props}.get(VARIANT_KEY, precision)
    if named not in set(Variant):
        raise ExportError(f"{where} has the variant {named!r}, which this version does not know. Fix: export it again")
    return Variant(named)


def stage_of(path: Path, variant: Variant) -> str:
    """Return the stage of an artifact in a comparison: "onnx", "converted" or "engine"."""
    return "engine" if path.suffix in PLAN_SUFFIXES else "onnx" if variant is Variant.FP32 else "converted"


def _require_bounded(path: Path, content: bytes) -> None:
    """Check what `open_engine` would check: the exact engine, which replaces it here, cannot stop a long run."""
    try:
        require_bounded(content, path, SessionRequest("cpu", optimized=False))
    except ORT_ERRORS as err:
        raise ArtifactError(
            f"cannot verify {path}: ONNX Runtime cannot read it ({str(err)[:300]}). "
            "Fix: export it again with fer-deploy export"
        ) from err
