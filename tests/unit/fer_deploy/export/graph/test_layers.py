"""Names and choice of the layers: as PyTorch has them, and only where INT8 pays."""

import numpy as np
import onnx
import pytest
import torch
from integration.export_models import GATES, LAYERS
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from fer_deploy.export.graph.layers import layers_of, worth_quantizing
from fer_deploy.export.graph.to_onnx import write_onnx
from fer_deploy.export.int8.quantize import int8_graph, prepared, quantizable
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.verify.torch_engine import DeployedGraph


def names(model: onnx.ModelProto) -> tuple[str, ...]:
    return tuple(layer.name for layer in layers_of(model))


class Tokens(nn.Module):
    """A linear layer over tokens: the exporter writes MatMul with a transposed, renamed weight, then Add."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 8, stride=8)
        self.mlp = nn.Linear(16, 24)
        self.classifier = nn.Linear(24, 7)

    def forward(self, x):
        return self.classifier(self.mlp(self.stem(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.fixture(scope="module")
def tokens(small_spec, tmp_path_factory) -> onnx.ModelProto:
    path = tmp_path_factory.mktemp("tokens") / "a.onnx"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        write_onnx(DeployedGraph(Tokens(), small_spec).eval(), small_spec, path, opset=20)
    return prepared(onnx.load(path))


def test_names_of_the_modules_in_order(small_graph):
    assert names(small_graph) == LAYERS


@pytest.mark.parametrize("scheme", Scheme)
def test_names_stay_in_a_quantized_graph(small_graph, small_calibration, scheme):
    found = names(int8_graph(small_graph, small_calibration, scheme))
    assert sorted(found) == sorted(LAYERS)


def test_shapes(small_graph):
    layers = {layer.name: layer for layer in layers_of(small_graph)}
    assert (layers["stem.0"].shape, layers["stem.0"].num_weights) == ((16, 1, 5, 5), 400)
    assert (layers["classifier"].shape, layers["classifier"].num_weights) == ((7, 32), 224)


def test_matmul_has_the_name_of_its_module(tokens):
    assert names(tokens) == ("stem", "mlp", "classifier")


def with_weights(quantizable_names: tuple[str, ...]) -> tuple[str, ...]:
    """Leave the kinds of operators out, which stand behind the layers."""
    return tuple(name for name in quantizable_names if name[0].islower())


def test_what_is_not_worth_it_for_tensorrt(small_graph):
    found = quantizable(small_graph, Scheme.TENSORRT)
    assert with_weights(found) == tuple(name for name in LAYERS if name not in (*GATES, "classifier"))
    assert found[len(with_weights(found)) :] == ("Add",)


def test_the_cpu_takes_all_that_it_has_integer_kernels_for(small_graph, tokens):
    assert with_weights(quantizable(small_graph, Scheme.CPU)) == LAYERS
    assert {"Add", "Mul"} <= set(quantizable(small_graph, Scheme.CPU))
    assert with_weights(quantizable(tokens, Scheme.CPU)) == ("stem", "classifier")


def test_an_addition_of_a_bias_is_no_operator_to_quantize(tokens):
    for scheme in Scheme:
        assert "Add" not in quantizable(tokens, scheme)


def one_convolution(outputs: int, inputs: int, side: int = 8) -> onnx.ModelProto:
    """A convolution behind a ReLU on (N, inputs, side, side), with inferred shapes."""
    weight = numpy_helper.from_array(np.ones((outputs, inputs, 1, 1), dtype=np.float32), "model.a.weight")
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Conv", ["r", weight.name], ["y"], "node_a")]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", inputs, side, side])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return onnx.shape_inference.infer_shapes(helper.make_model(helper.make_graph(nodes, "g", [x], [y], [weight])))


@pytest.mark.parametrize(
    ("outputs", "inputs", "side", "pays"),
    [
        (16, 16, 8, True),
        (64, 1, 8, True),
        (15, 16, 8, False),
        (16, 15, 8, False),
        (8, 1, 8, False),
        (64, 64, 1, False),
        (64, 64, 2, True),
    ],
)
def test_worth_quantizing(outputs, inputs, side, pays):
    model = one_convolution(outputs, inputs, side)
    (layer,) = layers_of(model)
    assert worth_quantizing(model, layer) is pays


def test_a_weight_that_is_computed_is_no_layer():
    model = one_convolution(16, 16)
    model.graph.node.insert(0, helper.make_node("Relu", ["model.a.weight"], ["w"]))
    model.graph.node[-1].input[1] = "w"
    assert layers_of(model) == []
