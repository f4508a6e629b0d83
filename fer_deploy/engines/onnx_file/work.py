"""Compute how much arithmetic an ONNX file needs from the shapes of its tensors, before it runs.

ONNX Runtime stops a run only between two nodes, and computes constants while it loads a file. So one product of huge
matrices, in a file of a kilobyte, can block a process for hours, deaf to signals. ONNX Runtime infers all shapes
without computing anything, and the work of a node follows from its shapes.

Shapes that a file declares for inner tensors and outputs are ignored, since they may be false. A shape that ONNX
Runtime cannot infer, as after the Expand of a ViT's class token, is not counted. The work of such a file is unknown
before it runs; see `trial`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import onnxruntime as ort

from fer_deploy.engines.onnx_file.messages import parse_model

BATCH = 4
"""Largest batch, in faces, that an engine runs when it opens."""
MAX_MULTIPLY_ADDS = 10**12
"""Limit for a batch of four. A ViT-L at 384 pixels takes 0.8e12; two cores compute 0.06e12 a second."""
_MAX_SHOWN = 100
Shape = tuple[int, ...]

_LINEAR = frozenset({
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization",
    "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip",
    "Compress", "Concat", "Constant", "ConstantOfShape", "Cos", "Cosh", "CumSum", "DepthToSpace", "DequantizeLinear",
    "Div", "Dropout", "DynamicQuantizeLinear", "Elu", "Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor",
    "Gather", "GatherElements", "GatherND", "Gelu", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "IsInf", "IsNaN",
    "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "Max", "Mean",
    "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow",
    "QuantizeLinear", "RMSNormalization", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
    "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round", "ScatterElements",
    "ScatterND", "Selu", "Shape", "Sigmoid", "Sign", "SimplifiedLayerNormalization", "Sin", "Sinh", "Size", "Slice",
    "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tan", "Tanh",
    "ThresholdedRelu", "Tile", "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where", "Xor",
})  # fmt: skip
"""Operators whose work is about the number of their input and output values."""


class Work(NamedTuple):
    """Work of a file, from its shapes.

    Attributes:
        fault: why the file needs too much work, as text after "cannot load x:"; None: the known work is acceptable.
        hidden: name for messages of the first node with sizes unknown before it runs; None: all are known.
    """

    fault: str | None
    hidden: str | None


class _Node(NamedTuple):
    inputs: Sequence[Shape]
    outputs: Sequence[Shape]
    attributes: Mapping[str, Sequence[int]]


def _matmul(node: _Node) -> int:
    return math.prod(node.outputs[0]) * (node.inputs[0][-1] if node.inputs[0] else 1)


def _gemm(node: _Node) -> int:
    rows = max(1, node.outputs[0][0])
    return math.prod(node.outputs[0]) * (math.prod(node.inputs[0]) // rows)


def _convolution(weight: int) -> Callable[[_Node], int]:
    return lambda node: math.prod(node.outputs[0]) * math.prod(node.inputs[weight][1:])


def _transposed(node: _Node) -> int:
    return math.prod(node.inputs[0]) * math.prod(node.inputs[1][1:])


def _pool(node: _Node) -> int:
    return math.prod(node.outputs[0]) * math.prod(node.attributes.get("kernel_shape", ()))


_FORMULAS: dict[str, Callable[[_Node], int]] = {
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "Resize": lambda node: 16 * math.prod(node.outputs[0]),  # cubic, at most
    "TopK": lambda node: 64 * math.prod(node.inputs[0]),  # a heap of at most 2^64
}


_PRODUCTS = frozenset(_FORMULAS) - {"MaxPool", "AveragePool", "LpPool", "Resize", "TopK"}
_LOGIT_BYTES = 4


def fault_of_work(content: bytes, *, all_known: bool) -> str | None:
    """Return only the fault of `measure_work`."""
    return measure_work(content, all_known=all_known).fault


def measure_work(content: bytes, *, all_known: bool) -> Work:
    """Count the work of a file without a fault of `outline.fault_of_onnx`.

    Args:
        content: the file.
        all_known: use four for a variable batch, and refuse unknown operators. False for networks whose input sizes are
            not known yet; then `hidden` depends on these sizes, see `hidden_node`.

    Raises:
        One of `onnxruntime.session.ORT_ERRORS`: ONNX Runtime cannot read the file.
    """
    model = parse_model(content)
    if model is None:
        return Work(None, None)  # ONNX Runtime refuses it with its own message
    shapes = _inferred_shapes(model, free_size=BATCH if all_known else None)
    total, largest, largest_node, hidden = 0, 0, "", None
    for node in model.graph.node:
        described = _described(node, shapes)
        if described is None:
            hidden = hidden or _named(node)
            continue
        work = _work_of(node.op_type, described)
        if work is None:
            if all_known:
                return Work(f"{_named(node)} is of a kind whose work this version cannot bound", hidden)
            continue
        total += work
        if work > largest:
            largest, largest_node = work, _named(node)
    if total > MAX_MULTIPLY_ADDS:
        faces = f"a batch of {BATCH} faces" if all_known else "one run"
        return Work(
            f"{faces} takes {_rounded(total)} multiply-adds, most of them in {largest_node}; "
            f"expected at most {_rounded(MAX_MULTIPLY_ADDS)}",
            hidden,
        )
    return Work(None, hidden)


def hidden_node(content: bytes, *, free_size: int) -> str | None:
    """Return the first node whose sizes are unknown for a known input size; None: there is none.

    Args:
        content: as for `measure_work`.
        free_size: value of each variable size of the input.

    Raises:
        One of `onnxruntime.session.ORT_ERRORS`: the network does not accept inputs of this size.
    """
    model = parse_model(content)
    if model is None:
        return None
    shapes = _inferred_shapes(model, free_size=free_size)
    return next((_named(node) for node in model.graph.node if _described(node, shapes) is None), None)


def work_of_one_image(content: bytes) -> tuple[int, int, int] | None:
    """Return the multiply-adds of convolutions and matrix products, the bytes of the weights, and of input and output.

    Variable sizes of the input are 1. None if this is no ONNX file, or a size is unknown before it runs.

    Raises:
        One of `onnxruntime.session.ORT_ERRORS`: ONNX Runtime cannot read the file.
    """
    model = parse_model(content)
    if model is None:
        return None
    inputs, outputs = ({value.name for value in values} for values in (model.graph.input, model.graph.output))
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    shapes = _inferred_shapes(model, free_size=1)
    total = 0
    for node in model.graph.node:
        if node.op_type not in _PRODUCTS:
            continue
        described = _described(node, shapes)
        if described is None:
            return None
        total += _FORMULAS[node.op_type](described)
    moved = sum(math.prod(_known(shapes.get(name)) or ()) for name in inputs)
    moved += sum(_LOGIT_BYTES * math.prod(_known(shapes.get(name)) or ()) for name in outputs)
    return total, weights, moved


def _named(node: Any) -> str:
    return f"its node {node.name[:_MAX_SHOWN]!r} ({node.op_type[:_MAX_SHOWN]})"


def _inferred_shapes(model: Any, *, free_size: int | None) -> dict[str, tuple[int | None, ...] | None]:
    """Return the shape of each tensor as ONNX Runtime infers it. Modifies the model."""
    graph = model.graph
    if free_size is not None:
        for value in graph.input:
            for dim in value.type.tensor_type.shape.dim:
                if not dim.HasField("dim_value"):
                    dim.ClearField("dim_param")
                    dim.dim_value = free_size
    del graph.value_info[:], graph.output[:]
    for name in dict.fromkeys(name for node in graph.node for name in node.output if name):
        graph.output.add(name=name)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # nothing is computed at loading
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"], enable_fallback=False
    )
    found: dict[str, tuple[int | None, ...] | None] = {
        value.name: _sizes(value.shape) for value in (*session.get_inputs(), *session.get_outputs())
    }
    return found | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _sizes(shape: Any) -> tuple[int | None, ...] | None:
    """Return the shape with None for unknown sizes; None for a value that is not a tensor."""
    if not isinstance(shape, list | tuple):
        return None
    return tuple(size if isinstance(size, int) and size >= 0 else None for size in shape)


def _described(node: Any, shapes: Mapping[str, tuple[int | None, ...] | None]) -> _Node | None:
    """Return the node with its shapes; None if one of them is unknown."""
    inputs = [_known(shapes.get(name)) if name else () for name in node.input]
    outputs = [_known(shapes.get(name)) if name else () for name in node.output]
    known_inputs = [shape for shape in inputs if shape is not None]
    known_outputs = [shape for shape in outputs if shape is not None]
    if len(known_inputs) + len(known_outputs) < len(inputs) + len(outputs):
        return None
    return _Node(known_inputs, known_outputs, {attribute.name: tuple(attribute.ints) for attribute in node.attribute})


def _known(shape: tuple[int | None, ...] | None) -> Shape | None:
    if shape is None:
        return None
    sizes = tuple(size for size in shape if size is not None)
    return sizes if len(sizes) == len(shape) else None


def _work_of(operator: str, node: _Node) -> int | None:
    """Return the number of multiply-adds, or of values for a linear operator; None for an unknown operator."""
    values = sum(map(math.prod, (*node.inputs, *node.outputs)))
    if operator in _LINEAR:
        return values
    formula = _FORMULAS.get(operator)
    if formula is None:
        return None
    try:
        return values + formula(node)
    except IndexError:  # fewer inputs or dimensions than the operator needs: ONNX Runtime refuses it
        return values


def _rounded(number: int) -> str:
    return f"{number:.1e}" if number < 10**300 else "more than 1e300"
