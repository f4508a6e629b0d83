"""Small, valid networks whose one node "huge" takes minutes to days."""

from collections.abc import Callable

import numpy as np
import onnx
from fuzz.onnx_bombs import armed, summed
from onnx import TensorProto, helper, numpy_helper


def huge_matmul() -> onnx.ModelProto:
    """Matrices of 20,000 x 20,000, 1.6 GB each: they fit, and take minutes."""
    nodes = [
        helper.make_node("Expand", ["q", "s"], ["x"]),
        helper.make_node("MatMul", ["x", "x"], ["big"], name="huge"),
    ]
    return armed([*nodes, summed("big")], {"s": np.array([20_000, 20_000])})


def huge_matmul_that_lies() -> onnx.ModelProto:
    """The same, and the file says that its matrices are small."""
    model = huge_matmul()
    model.graph.value_info.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1]) for n in ("x", "big"))
    return model


def huge_matmul_of_constants() -> onnx.ModelProto:
    """Known at loading, where ONNX Runtime computes constants and no limit of time holds."""
    fill = numpy_helper.from_array(np.ones(1, dtype=np.float32))
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["x"], value=fill),
        helper.make_node("MatMul", ["x", "x"], ["big"], name="huge"),
    ]
    return armed([*nodes, summed("big")], {"s": np.array([20_000, 20_000])})


def huge_matmul_of_tiles() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Reshape", ["q", "one"], ["x1"]),
        helper.make_node("Tile", ["x1", "s"], ["x"]),
        helper.make_node("MatMul", ["x", "x"], ["big"], name="huge"),
    ]
    return armed([*nodes, summed("big")], {"one": np.array([1, 1]), "s": np.array([20_000, 20_000])})


def huge_gemm() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Expand", ["q", "s"], ["x"]),
        helper.make_node("Gemm", ["x", "x"], ["big"], name="huge", transA=1),
    ]
    return armed([*nodes, summed("big")], {"s": np.array([20_000, 20_000])})


def huge_convolution() -> onnx.ModelProto:
    """A kernel of 5,000 x 5,000 that is spelled out from one number, over a padded image of that size."""
    nodes = [
        helper.make_node("Expand", ["q", "s"], ["kernel"]),
        helper.make_node("Conv", ["pixels", "kernel"], ["big"], name="huge", pads=[5_000] * 4),
    ]
    return armed([*nodes, summed("big")], {"s": np.array([1, 1, 5_000, 5_000])})


def huge_pool() -> onnx.ModelProto:
    """No weights at all: the window is an attribute."""
    side = 20_000
    nodes = [
        helper.make_node("Expand", ["q", "s"], ["x"]),
        helper.make_node("AveragePool", ["x"], ["big"], name="huge", kernel_shape=[5_000] * 2, auto_pad="SAME_UPPER"),
    ]
    return armed([*nodes, summed("big")], {"s": np.array([1, 1, side, side])})


ARITHMETIC: tuple[Callable[[], onnx.ModelProto], ...] = (
    huge_matmul,
    huge_matmul_that_lies,
    huge_matmul_of_constants,
    huge_matmul_of_tiles,
    huge_gemm,
    huge_convolution,
    huge_pool,
)
"""One node each, called "huge", that takes minutes to days."""


def einsum() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Expand", ["q", "s"], ["x"]),
        helper.make_node("Einsum", ["x", "x"], ["big"], name="huge", equation="ij,jk->ik"),
    ]
    return armed([*nodes, summed("big")], {"s": np.array([20_000, 20_000])})


def computed_size() -> onnx.ModelProto:
    """A product of two constants, which nobody multiplies before the file is loaded."""
    nodes = [
        helper.make_node("Mul", ["side", "side"], ["s"]),
        helper.make_node("Expand", ["q", "s"], ["x"]),
        helper.make_node("MatMul", ["x", "x"], ["big"], name="huge"),
    ]
    return armed([*nodes, summed("big")], {"side": np.array([120, 120])})


def computed_size_of_constants() -> onnx.ModelProto:
    """All of it is computed while the file is loaded, where no options of a run hold."""
    nodes = [
        helper.make_node("Mul", ["side", "side"], ["s"]),
        helper.make_node("ConstantOfShape", ["s"], ["x"]),
        helper.make_node("AveragePool", ["x"], ["big"], name="huge", kernel_shape=[2_000] * 2, auto_pad="SAME_UPPER"),
    ]
    return armed([*nodes, summed("big")], {"side": np.array([1, 1, 64, 64])})


def size_from_data() -> onnx.ModelProto:
    """As many rows and columns as a picture has black pixels, times 64."""
    nodes = [
        helper.make_node("Equal", ["pixels", "zero"], ["black"]),
        helper.make_node("Cast", ["black"], ["ones"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["ones"], ["count"], keepdims=0),
        helper.make_node("Mul", ["count", "factors"], ["s"]),
        helper.make_node("Expand", ["q", "unit"], ["one"]),
        helper.make_node("Slice", ["s", "first", "last"], ["sides"]),
        helper.make_node("Concat", ["unit", "sides"], ["shape"], axis=0),
        helper.make_node("Expand", ["one", "shape"], ["x"]),
        helper.make_node("AveragePool", ["x"], ["big"], name="huge", kernel_shape=[2_000] * 2, auto_pad="SAME_UPPER"),
    ]
    values = {
        "zero": np.float32(0),
        "factors": np.array([64, 64]),
        "unit": np.array([1, 1]),
        "first": np.array([0]),
        "last": np.array([2]),
    }
    return armed([*nodes, summed("big")], values)


HIDDEN: tuple[Callable[[], onnx.ModelProto], ...] = (computed_size, computed_size_of_constants, size_from_data)
"""One node each, called "huge", that takes minutes to days, and whose size is known only when it runs."""
