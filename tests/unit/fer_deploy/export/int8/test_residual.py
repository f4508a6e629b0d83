"""Residual additions: the skip input is quantized, the branch is added before it is rounded."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from integration.export_models import LAYERS
from onnx import TensorProto, helper, numpy_helper

from fer_deploy.export.graph.layers import consumers_of, layers_of, producers_of
from fer_deploy.export.int8.quantize import int8_graph
from fer_deploy.export.int8.residual import additions_of_constants, keep_skip_only
from fer_deploy.export.int8.scheme import Scheme

SCALE = 0.5


@pytest.fixture(scope="module")
def quantized(small_graph, small_calibration):
    return int8_graph(small_graph, small_calibration, Scheme.TENSORRT)


def dequantized_from(model: onnx.ModelProto, tensor: str) -> str | None:
    """Name of the tensor that a Q/DQ pair made `tensor` from; None: it is no DequantizeLinear."""
    producers = producers_of(model)
    node = producers.get(tensor)
    return producers[node.input[0]].input[0] if node is not None and node.op_type == "DequantizeLinear" else None


def additions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "Add"]


def test_identity_shortcut(quantized):
    """The first block: its branch ends in a gate, its skip is the stem's output."""
    producers, (first, _) = producers_of(quantized), additions(quantized)
    (skip,) = [name for name in first.input if dequantized_from(quantized, name)]
    (branch,) = [name for name in first.input if name != skip]
    assert producers[branch].op_type == "Mul"
    stem_relu = producers[dequantized_from(quantized, skip)]
    assert (stem_relu.op_type, producers[stem_relu.input[0]].op_type) == ("Relu", "Conv")


def test_convolution_on_the_shortcut(quantized):
    """The second block: the branch's last convolution goes straight into the addition, the shortcut's is quantized."""
    layers = {layer.node.output[0]: layer.name for layer in layers_of(quantized)}
    _, second = additions(quantized)
    (skip,) = [name for name in second.input if dequantized_from(quantized, name)]
    (branch,) = [name for name in second.input if name != skip]
    assert layers[branch] == "blocks.1.branch.3"
    assert layers[dequantized_from(quantized, skip)] == "blocks.1.shortcut.0"


def test_no_output_of_a_convolution_is_quantized_but_the_shortcut(quantized):
    consumers = consumers_of(quantized)
    rounded = [
        layer.name
        for layer in layers_of(quantized)
        if any(node.op_type == "QuantizeLinear" for node in consumers[layer.node.output[0]])
    ]
    assert rounded == ["blocks.1.shortcut.0"]
    assert set(rounded) < set(LAYERS)


def graph(nodes: list[onnx.NodeProto], outputs: list[str], constants=()) -> onnx.ModelProto:
    scales = [
        numpy_helper.from_array(np.float32(SCALE), "scale"),
        numpy_helper.from_array(np.int8(0), "zero"),
        *constants,
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", *outputs)]
    made = helper.make_graph(nodes, "g", infos[:1], infos[1:], scales)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def pair(tensor: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [tensor, "scale", "zero"], [f"{tensor}_q"]),
        helper.make_node("DequantizeLinear", [f"{tensor}_q", "scale", "zero"], [f"{tensor}_dq"]),
    ]


def results(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})


def rounded(x: np.ndarray) -> np.ndarray:
    return np.round(x / SCALE) * SCALE


X = np.array([0.7, 1.3, -2.1, 3.9], dtype=np.float32)


def test_both_inputs_are_read_by_others():
    """The other readers keep the rounded tensors; only the addition's longer input changes."""
    nodes = [
        *pair("x"),
        helper.make_node("Sin", ["x_dq"], ["b"]),
        *pair("b"),
        helper.make_node("Add", ["b_dq", "x_dq"], ["sum"]),
        helper.make_node("Neg", ["x_dq"], ["other_x"]),
        helper.make_node("Neg", ["b_dq"], ["other_b"]),
    ]
    total, other_x, other_b = results(keep_skip_only(graph(nodes, ["sum", "other_x", "other_b"])), X)
    branch = np.sin(rounded(X))
    np.testing.assert_allclose(total, branch + rounded(X), atol=1e-6)
    np.testing.assert_allclose(other_x, -rounded(X))
    np.testing.assert_allclose(other_b, -rounded(branch))
    assert np.abs(branch - rounded(branch)).max() > 0.05


@pytest.mark.parametrize("order", [1, -1])
def test_the_longer_input_is_the_branch(order):
    nodes = [
        helper.make_node("Sin", ["x"], ["b"]),
        *pair("x"),
        *pair("b"),
        helper.make_node("Add", ["b_dq", "x_dq"][::order], ["sum"]),
    ]
    given = graph(nodes, ["sum"])
    before = given.SerializeToString()
    found = keep_skip_only(given)
    np.testing.assert_allclose(results(found, X)[0], np.sin(X) + rounded(X), atol=1e-6)
    assert sorted(node.op_type for node in found.graph.node) == ["Add", "DequantizeLinear", "QuantizeLinear", "Sin"]
    assert given.SerializeToString() == before


def test_the_same_tensor_twice():
    nodes = [*pair("x"), helper.make_node("Add", ["x_dq", "x_dq"], ["sum"])]
    np.testing.assert_allclose(results(keep_skip_only(graph(nodes, ["sum"])), X)[0], X + rounded(X))


def test_an_addition_with_one_float_input_stays():
    nodes = [helper.make_node("Sin", ["x"], ["b"]), *pair("x"), helper.make_node("Add", ["b", "x_dq"], ["sum"])]
    np.testing.assert_allclose(results(keep_skip_only(graph(nodes, ["sum"])), X)[0], np.sin(X) + rounded(X), atol=1e-6)


def test_unread_scales_go():
    """A pair with a scale of its own leaves none of it behind."""
    own = numpy_helper.from_array(np.float32(0.25), "own")
    branch = pair("b")
    for node in branch:
        node.input[1] = "own"
    nodes = [
        helper.make_node("Sin", ["x"], ["b"]),
        *pair("x"),
        *branch,
        helper.make_node("Add", ["b_dq", "x_dq"], ["sum"]),
    ]
    found = keep_skip_only(graph(nodes, ["sum"], [own]))
    assert {tensor.name for tensor in found.graph.initializer} == {"scale", "zero"}


def test_additions_of_constants():
    bias = numpy_helper.from_array(np.ones(4, dtype=np.float32), "bias")
    nodes = [
        helper.make_node("Add", ["x", "bias"], ["a"], "biased"),
        helper.make_node("Add", ["a", "x"], ["sum"], "joined"),
    ]
    assert additions_of_constants(graph(nodes, ["sum"], [bias])) == ["biased"]
