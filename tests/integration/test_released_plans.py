"""Every variant of both released models becomes a plan on every run, and is what it says it is."""

import numpy as np
import onnx
import pytest

from fer_deploy.artifacts import file_sha256
from fer_deploy.export.checkpoint import load_checkpoint
from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.graph.to_onnx import write_onnx
from fer_deploy.export.int8.calibration import Method, calibrate
from fer_deploy.export.int8.convert import fp16_artifact
from fer_deploy.export.int8.quantize import fp16_graph, int8_graph, prepared, quantizable
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.plan.build import build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.variants import Variant, artifact_of
from fer_deploy.export.verify.portrait import SOURCE, portrait_faces
from fer_deploy.export.verify.torch_engine import DeployedGraph
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import read_manifest

CONFIG = BuildConfig(flavor=Flavor.TENSORRT_RTX, compute_capabilities=("8.9",))
TYPES = {Variant.FP32: "Float", Variant.FP16: "Half", Variant.INT8: "Int8"}


@pytest.fixture(scope="module", params=["net", "senet"])
def artifacts(request, repo_dir, tmp_path_factory):
    """The three graphs for TensorRT; INT8 ranges from a portrait, good enough to compile."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = load_checkpoint(repo_dir / "weights" / f"{request.param}.safetensors")
    model, spec = checkpoint.model, checkpoint.spec
    write_onnx(DeployedGraph(model, spec).eval(), spec, folder / "fp32.onnx", opset=20)
    fp32 = onnx.load(folder / "fp32.onnx", load_external_data=False)
    ready = prepared(fp32)
    faces = CalibrationFaces(portrait_faces(spec.input)[::20], SOURCE, 0)
    ranges = calibrate(ready, spec, faces, method=Method.MAX, cache=folder / "ranges.json")
    int8 = fp16_graph(int8_graph(ready, ranges, Scheme.TENSORRT))
    made = [
        artifact_of(fp32, spec, Variant.FP32, {}),
        fp16_artifact(fp32, spec),
        artifact_of(int8, spec, Variant.INT8, {}),
    ]
    for artifact in made:
        onnx.save_model(artifact.model, folder / artifact.name)
    return folder, {artifact.variant: artifact for artifact in made}, len(quantizable(ready, Scheme.TENSORRT))


@pytest.mark.parametrize("variant", list(TYPES))
def test_plan_computes_in_the_precision_of_its_graph(artifacts, variant):
    folder, made, num_quantized = artifacts
    source = folder / made[variant].name
    plan = source.with_suffix(".plan")
    built = build_plan(source, plan, CONFIG)
    assert read_manifest(plan) == built
    assert built.plan_sha256 == file_sha256(plan)
    assert built.source_onnx_sha256 == file_sha256(source)
    assert built.precision_proof.source == "plan"
    convolutions = built.precision_proof.convolutions
    assert convolutions[TYPES[variant]] == max(convolutions.values())
    if variant is Variant.INT8:
        assert convolutions["Int8"] >= 0.9 * num_quantized
        assert convolutions.get("Float", 0) == 0


def test_plans_shrink_with_the_precision(artifacts):
    folder, made, _ = artifacts
    sizes = {}
    for variant in (Variant.FP32, Variant.FP16, Variant.INT8):
        plan = folder / f"{variant}-size.plan"
        sizes[variant] = build_plan(folder / made[variant].name, plan, CONFIG).plan_bytes
    assert sizes[Variant.FP16] < 0.6 * sizes[Variant.FP32]
    assert sizes[Variant.INT8] < 0.9 * sizes[Variant.FP16]
    assert np.all(np.array(list(sizes.values())) > 1e6)
