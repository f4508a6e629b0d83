"""Nano in INT8: for the CPU no layer stays float, for TensorRT only the small last one does."""

import numpy as np
import onnx
import pytest
import torch
from integration.export_models import patterns

from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.graph.layers import layers_of, producers_of
from fer_deploy.export.graph.to_onnx import write_onnx
from fer_deploy.export.int8.calibration import Method, calibrate
from fer_deploy.export.int8.quantize import int8_graph, prepared, quantizable
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.verify.exact_engine import ExactEngine
from fer_deploy.export.verify.torch_engine import DeployedGraph
from fer_train.models import build_model

IMAGES = patterns(48, seed=3)[0][:, None]
BLOCKS = ("blocks.1", "blocks.3")
"""Those that change the number of channels and have a convolution on their shortcut."""


@pytest.fixture(scope="module")
def exported(small_spec, tmp_path_factory):
    """The FP32 graph of a Nano whose batch norm has seen faces, and its calibration."""
    folder = tmp_path_factory.mktemp("nano")
    images = torch.from_numpy(IMAGES).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model("nano", num_classes=len(small_spec.labels)).train()
        with torch.no_grad():
            for _ in range(20):
                model((images - small_spec.input.mean) / small_spec.input.std)
    write_onnx(DeployedGraph(model, small_spec).eval(), small_spec, folder / "a.onnx", opset=20)
    graph = prepared(onnx.load(folder / "a.onnx"))
    faces = CalibrationFaces(IMAGES, "patterns", 0)
    return graph, calibrate(graph, small_spec, faces, method=Method.MAX, cache=folder / "ranges.json")


@pytest.mark.slow
def test_the_layers_have_the_names_of_the_modules(exported):
    model = build_model("nano", num_classes=7)
    modules = {name for name, m in model.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)}
    assert {layer.name for layer in layers_of(exported[0])} == modules
    assert {f"{block}.shortcut.0" for block in BLOCKS} < modules


def test_nothing_is_left_in_higher_precision(exported):
    graph = exported[0]
    layers = tuple(layer.name for layer in layers_of(graph))
    assert quantizable(graph, Scheme.CPU) == (*layers, "Add", "GlobalAveragePool")
    assert quantizable(graph, Scheme.TENSORRT) == (*(name for name in layers if name != "classifier"), "Add")


def test_every_convolution_reads_integers(exported):
    for scheme in Scheme:
        quantized = int8_graph(*exported, scheme)
        producers = producers_of(quantized)
        reads = {
            layer.name: [producers[name].op_type for name in layer.node.input[:2] if name in producers]
            for layer in layers_of(quantized)
        }
        float_layers = [name for name, ops in reads.items() if ops != ["DequantizeLinear"] * 2]
        assert float_layers == ([] if scheme is Scheme.CPU else ["classifier"])


def test_int8_says_what_fp32_says(exported, small_spec):
    def logits(graph: onnx.ModelProto) -> np.ndarray:
        with ExactEngine(graph, small_spec) as engine:
            return engine.infer(IMAGES)

    expected = logits(exported[0])
    spread = expected.std(axis=0).mean()
    for scheme in Scheme:
        found = logits(int8_graph(*exported, scheme))
        assert np.abs(found - expected).mean() < 0.15 * spread
