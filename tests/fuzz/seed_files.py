"""Sound files, a few kB each, that mutations start from. Nothing of FER2013 is in them."""

import io
import json

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save
from torch import nn
from unit.fer_deploy.engines.simulated_network import network_manifest
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT as PLAN
from unit.fer_deploy.engines.tensorrt.plan_files import manifest_of

import fer_train.models
from fer_deploy.manifest import manifest_json
from fer_deploy.spec import SPEC_KEY

SIDE = 16
LABELS = ["dark", "even", "bright"]
SPEC = {
    "spec_version": 1,
    "architecture": "tiny",
    "labels": LABELS,
    "input": {
        "name": "images",
        "height": SIDE,
        "width": SIDE,
        "channels": 1,
        "dtype": "uint8",
        "color": "gray",
        "mean": 127.5,
        "std": 127.5,
    },
    "metrics": {"PublicTest": {"accuracy": 0.25}},
    "provenance": {"config": {"num_epochs": 2}},
}
MANIFEST = manifest_json(manifest_of())
NETWORK_MANIFEST = manifest_json(network_manifest())


class Tiny(nn.Module):
    """(N, 1, 16, 16) -> (N, num_classes)."""

    def __init__(self, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.classifier = nn.Linear(2 * SIDE * SIDE, num_classes)


def register_tiny() -> None:
    """Make "tiny" an architecture of fer_train; for this process only."""
    fer_train.models._FROM_SCRATCH["tiny"] = Tiny
    fer_train.models.MODEL_NAMES = (*fer_train.models.MODEL_NAMES, "tiny")


def release() -> bytes:
    noise = np.random.default_rng(0)
    tensors = {
        name: noise.normal(size=value.shape).astype(np.float32) if value.is_floating_point() else value.numpy()
        for name, value in Tiny(num_classes=len(LABELS), dropout=0).state_dict().items()
    }
    tensors["norm.running_var"] = np.abs(tensors["norm.running_var"])  # a variance
    return save(tensors, metadata={SPEC_KEY: json.dumps(SPEC)})


def training_state() -> bytes:
    """As `save_state` writes it; only "format" is read before a run takes it over."""
    file = io.BytesIO()
    torch.save({"format": "fer-train-state-1", "epoch": 3, "weight": torch.ones(4, 4), "config": {"seed": 1}}, file)
    return file.getvalue()


def network(*, raw: bool = True, quantized: bool = False) -> onnx.ModelProto:
    """uint8 images (N, 1, 16, 16) -> logits (N, 3), with its ModelSpec inside."""
    noise = np.random.default_rng(1)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(name: str, values: object, dtype: type = np.float32) -> str:
        array = np.asarray(values, dtype=dtype)
        tensor = numpy_helper.from_array(array, name)
        if not raw and dtype is np.float32:
            tensor = helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.ravel().tolist())
        if raw:
            weights.append(tensor)
        else:
            nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def node(op: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def quantize(data: str) -> str:
        names = [constant(f"{data}.scale", 0.05), constant(f"{data}.zero", 0, np.int8)]
        return node("DequantizeLinear", [node("QuantizeLinear", [data, *names], f"{data}.q"), *names], f"{data}.dq")

    pixels = node("Cast", ["images"], "pixels", to=TensorProto.FLOAT)
    centered = node("Sub", [pixels, constant("mean", 127.5)], "centered")
    data = node("Div", [centered, constant("std", 127.5)], "scaled")
    weight = constant("conv.weight", noise.normal(size=(2, 1, 3, 3)))
    if quantized:
        data, weight = quantize(data), quantize(weight)
    conv = node("Conv", [data, weight, constant("conv.bias", [0.1, -0.1])], "conv", pads=[1] * 4, kernel_shape=[3, 3])
    pooled = node("GlobalAveragePool", [node("Relu", [conv], "relu")], "pooled")
    flat = node("Reshape", [pooled, constant("shape", [-1, 2], np.int64)], "flat")
    node("Gemm", [flat, constant("fc.weight", noise.normal(size=(2, 3))), constant("fc.bias", np.zeros(3))], "logits")
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {SPEC_KEY: json.dumps(SPEC)})
    return model


NETWORKS = [network(), network(raw=False), network(quantized=True)]
BARE_NETWORK = network()
BARE_NETWORK.ClearField("metadata_props")
RELEASE = release()
STATE = training_state()
__all__ = [
    "BARE_NETWORK",
    "MANIFEST",
    "NETWORKS",
    "NETWORK_MANIFEST",
    "PLAN",
    "RELEASE",
    "SPEC",
    "STATE",
    "register_tiny",
]
