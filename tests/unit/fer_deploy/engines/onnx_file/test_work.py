"""The work of a file, from its shapes; whole bombs are in `tests/fuzz`."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines.onnx_file import work as onnx_work
from fer_deploy.engines.onnx_file.work import BATCH, Work, fault_of_work, hidden_node, measure_work
from fer_deploy.spec import Precision


def file_of(nodes, weights=None, *, shape=("batch", 1, 8, 8)) -> bytes:
    """Return a file whose nodes read `x` and make `y`."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def work_of(monkeypatch, content: bytes) -> float:
    """Return the work that a refusal names."""
    monkeypatch.setattr(onnx_work, "MAX_MULTIPLY_ADDS", 0)
    fault = fault_of_work(content, all_known=True)
    return float(fault.split(" takes ")[1].split()[0])


WEIGHT = np.ones((16, 1, 3, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("node", "weights", "work", "values"),
    [
        (("Conv", ["x", "w"], {"pads": [1] * 4}), WEIGHT, BATCH * 16 * 64 * 9, BATCH * 17 * 64 + 144),
        (("ConvTranspose", ["x", "w"], {}), WEIGHT[:1], BATCH * 64 * 9, BATCH * 64 + BATCH * 100 + 9),
        (("MatMul", ["x", "w"], {}), np.ones((8, 5), np.float32), BATCH * 8 * 5 * 8, BATCH * 64 + BATCH * 40 + 40),
        (("MaxPool", ["x"], {"kernel_shape": [2, 2]}), None, BATCH * 49 * 4, BATCH * (64 + 49)),
        (("Relu", ["x"], {}), None, 0, 2 * BATCH * 64),
    ],
)
def test_formulas(monkeypatch, node, weights, work, values):
    operator, inputs, attributes = node
    content = file_of(
        [helper.make_node(operator, inputs, ["y"], **attributes)], {} if weights is None else {"w": weights}
    )
    assert work_of(monkeypatch, content) == pytest.approx(work + values, rel=0.06)  # it is told with two digits


def test_gemm(monkeypatch):
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"])]
    content = file_of(nodes, {"w": np.ones((64, 100), dtype=np.float32)})
    assert work_of(monkeypatch, content) == pytest.approx(BATCH * 64 * 100 + 64 * 100, rel=0.1)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_released_models_are_far_below(monkeypatch, precision):
    content = bundled_model(precision).read_bytes()
    assert fault_of_work(content, all_known=True) is None
    assert 1e8 < work_of(monkeypatch, content) < 1e10


def test_declared_shapes_are_not_believed():
    content = file_of(
        [helper.make_node("Expand", ["x", "s"], ["a"]), helper.make_node("MatMul", ["a", "a"], ["y"])],
        {"s": np.array([1, 1, 8, 8])},
    )
    model = onnx.ModelProto.FromString(content)
    model.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, [4, 1, 8, 8]))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([500, 500, 8, 8]), "s"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert fault_of_work(model.SerializeToString(), all_known=True) is None
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([10_000_000, 1000, 8, 8]), "s"))
    fault = fault_of_work(model.SerializeToString(), all_known=True)
    assert "multiply-adds, most of them in its node '' (MatMul)" in fault


def test_a_shape_that_is_not_inferred_is_named():
    nodes = [helper.make_node("NonZero", ["x"], ["n"], name="where"), helper.make_node("Cast", ["n"], ["y"], to=1)]
    assert measure_work(file_of(nodes), all_known=True) == Work(None, "its node 'where' (NonZero)")


def test_shapes_that_are_all_inferred():
    content = file_of([helper.make_node("Relu", ["x"], ["y"])])
    assert measure_work(content, all_known=True) == Work(None, None)


def test_a_network_of_free_sizes():
    """Of a detector, only what is known counts: its input's size is chosen later."""
    free = (1, 3, "height", "width")
    content = file_of([helper.make_node("Relu", ["x"], ["y"], name="only")], shape=free)
    assert measure_work(content, all_known=False) == Work(None, "its node 'only' (Relu)")
    assert hidden_node(content, free_size=64) is None
    nodes = [helper.make_node("NonZero", ["x"], ["n"], name="where"), helper.make_node("Cast", ["n"], ["y"], to=1)]
    assert hidden_node(file_of(nodes, shape=free), free_size=64) == "its node 'where' (NonZero)"


def test_no_onnx_file():
    assert fault_of_work(b"\xff\xff\xff", all_known=True) is None
    assert hidden_node(b"\xff\xff\xff", free_size=64) is None
