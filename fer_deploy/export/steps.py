"""Run single steps of an export: quantize an FP32 ONNX, verify any artifact."""

import tempfile
from dataclasses import replace
from pathlib import Path

import onnx

from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Device, Engine
from fer_deploy.errors import ConfigError, ExportError
from fer_deploy.export.checkpoint import draw_calibration_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.graph.source import read_onnx
from fer_deploy.export.int8.convert import Int8Maker, OnMessage, fp16_artifact, open_artifact
from fer_deploy.export.publish import write_together
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.compare import Comparison, Reference, breaches_of, compare, require_kept
from fer_deploy.export.verify.opening import open_for_verification, stage_of
from fer_deploy.export.verify.preparation import notes_on, slices_of, verification_faces
from fer_deploy.export.verify.torch_engine import TorchEngine
from fer_deploy.spec import ModelSpec, Precision


def quantize(
    source: Path, variant: Variant, config: ExportConfig, *, out: Path, on_message: OnMessage = lambda _: None
) -> Comparison:
    """Write one variant of an FP32 ONNX and compare it with that ONNX by the limits of the config.

    Args:
        source: FP32 file of `export`.
        variant: fp16, int8 or int8-cpu.
        config: data, calibration, budget and limits; its checkpoint and out are not used.
        out: file to write.
        on_message: called with a message before each step.

    Raises:
        ConfigError: the variant is FP32, or it is INT8 and there are no data.
        ArtifactError: `source` or the data cannot be used, or `source` is not FP32.
        ExportError: no valid graph was created, or `out` is not writable.
        VerificationError: a limit is exceeded; nothing was written.
    """
    found = read_onnx(source)
    if variant is Variant.FP32 or found.spec.precision is not Precision.FP32:
        raise ConfigError(f"cannot make {variant} of {source} ({found.spec.precision}). Fix: start from the fp32 file")
    if variant.scheme is not None and config.data is None:
        raise ConfigError("INT8 needs real faces for its ranges. Fix: --data fer2013.csv")
    model = onnx.ModelProto.FromString(found.content)
    with open_engine(source, device="cpu") as engine:
        reference = _reference(engine, variant, config, on_message)
    with tempfile.TemporaryDirectory() as folder:
        if variant.scheme is None:
            artifact, logits = fp16_artifact(model, found.spec), None
        else:
            how = config.calibration
            assert config.data is not None
            faces = draw_calibration_faces(
                config.data,
                split=how.split,
                count=how.num_faces,
                seed=how.seed,
                spec=found.spec,
                degraded_share=how.degraded_share,
            )
            maker = Int8Maker(model, found.spec, faces, how.method, Path(folder), on_message)
            artifact, logits = maker.artifact(variant, reference, config.limits_of(variant))
    with open_artifact(artifact) as engine:
        result = compare(reference, engine, artifact=out.name, stage="converted", logits=logits)
    result = _with_breaches(result, variant, config)
    require_kept(result, reference)
    artifact = artifact.measured(result.for_spec(reference))
    write_together({out: artifact.model.SerializeToString()})
    return result


def verify(
    artifact: Path, config: ExportConfig, *, device: Device, on_message: OnMessage = lambda _: None
) -> tuple[Comparison, Reference, ModelSpec]:
    """Compare an ONNX or a plan with the checkpoint of the config; the result contains exceeded limits.

    Returns:
        The comparison, the reference's logits, and the checkpoint's spec.

    Raises:
        ArtifactError: a file cannot be used.
        EngineError: the artifact does not run on this machine.
        VerificationError: the artifact failed while running.
        ExportError: labels or input of artifact and checkpoint differ.
    """
    engine, variant = open_for_verification(artifact, device)
    with engine, TorchEngine.open(config.checkpoint, device="cpu") as torch_engine:
        if (engine.spec.labels, engine.spec.input) != (torch_engine.spec.labels, torch_engine.spec.input):
            raise ExportError(
                f"{artifact} and {config.checkpoint} differ in labels or input: not one model. "
                "Fix: name the checkpoint that it was exported from"
            )
        reference = _reference(torch_engine, variant, config, on_message)
        found = compare(reference, engine, artifact=artifact.name, stage=stage_of(artifact, variant))
        return _with_breaches(found, variant, config), reference, torch_engine.spec


def _reference(engine: Engine, variant: Variant, config: ExportConfig, on_message: OnMessage) -> Reference:
    """Run the reference on the faces and their slices; report first which limits are finer than one face."""
    faces = verification_faces(config, engine.spec)
    slices = slices_of(config, faces, engine.spec)
    for note in notes_on(config, (variant,), faces, engine.spec):
        on_message(f"note: {note}")
    on_message(f"{engine.description} on {len(faces)} faces and {len(slices)} slices of them")
    return Reference.of(engine, faces, slices)


def _with_breaches(found: Comparison, variant: Variant, config: ExportConfig) -> Comparison:
    return replace(found, breaches=breaches_of(found, config.limits_of(variant)))
