"""Small, valid networks that keep their contract and want all memory or all time of the machine that runs them."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import onnx
from fuzz.seed_files import LABELS, NETWORKS, SIDE, SPEC
from onnx import TensorProto, helper, numpy_helper

from fer_deploy.spec import SPEC_KEY

_HUGE = (2**29, 2**31, 2**33, 2**36, 2**40, 2**62)


def armed(
    nodes: Sequence[onnx.NodeProto],
    values: dict[str, Any],
    *,
    inits: Sequence[Any] = (),
    sparse: Sequence[Any] = (),
    functions: Sequence[Any] = (),
) -> onnx.ModelProto:
    """Return a network whose logits are those of a linear layer plus the scalar `r` that `nodes` give.

    Args:
        nodes: they find the number `q`, which depends on the images, and give the float `r`.
        values: initializers by name.
        inits: further ones, as they are.
        sparse: the same.
        functions: of the domain "local".
    """
    weight = np.ones((SIDE * SIDE, len(LABELS)), dtype=np.float32)
    frame = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["linear"]),
        helper.make_node("ReduceSum", ["linear"], ["q"], keepdims=0),
    ]
    values = values | {"weight": weight}
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = helper.make_graph(
        [*frame, *nodes, helper.make_node("Add", ["linear", "r"], ["logits"])],
        "armed",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [*weights, *inits],
        sparse_initializer=sparse,
    )
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid("local", 1)] if functions else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions)
    helper.set_model_props(model, {SPEC_KEY: json.dumps(SPEC)})
    return model


def huge_images(rng: Random) -> onnx.ModelProto:
    """The contract itself asks for images that no memory holds."""
    model = onnx.ModelProto.FromString(NETWORKS[0].SerializeToString())
    side = rng.choice((2**15, 2**20, 2**31, 2**40))
    spec = SPEC | {"input": SPEC["input"] | {"height": side, "width": side}}
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = side
    helper.set_model_props(model, {SPEC_KEY: json.dumps(spec)})
    return model


def summed(name: str) -> onnx.NodeProto:
    return helper.make_node("ReduceSum", [name], ["r"], keepdims=0)


def constant_of_shape(rng: Random) -> onnx.ModelProto:
    """Known at loading, so that constant folding may want to compute it."""
    node = helper.make_node("ConstantOfShape", ["s"], ["big"])
    return armed([node, summed("big")], {"s": np.array([rng.choice(_HUGE)])})


def expand(rng: Random) -> onnx.ModelProto:
    return armed([helper.make_node("Expand", ["q", "s"], ["big"]), summed("big")], {"s": np.array([rng.choice(_HUGE)])})


def tile(rng: Random) -> onnx.ModelProto:
    side = int(rng.choice(_HUGE) ** 0.5)
    return armed([helper.make_node("Tile", ["linear", "s"], ["big"]), summed("big")], {"s": np.array([side, side])})


def number_range(rng: Random) -> onnx.ModelProto:
    limits = {"zero": 0, "stop": rng.choice(_HUGE), "one": rng.choice((1, 1e-30, 0))}
    limits = {name: np.float32(value) for name, value in limits.items()}
    start = rng.choice(("zero", "q"))
    return armed([helper.make_node("Range", [start, "stop", "one"], ["big"]), summed("big")], limits)


def broadcast(rng: Random) -> onnx.ModelProto:
    """Two vectors of 100 kB that make a matrix of 5 GB."""
    column = np.ones((rng.choice((25_000, 36_000)), 1), dtype=np.float32)
    first = rng.choice(("column", "moving"))
    nodes = [helper.make_node("Add", ["column", "q"], ["moving"]), helper.make_node("Add", [first, "row"], ["big"])]
    return armed([*nodes, summed("big")], {"column": column, "row": column.T.copy()})


def doublings(rng: Random) -> onnx.ModelProto:
    """x, xx, xxxx: 40 nodes, 2^40 values."""
    nodes = [helper.make_node("Unsqueeze", ["q", "axes"], ["x0"])]
    for number in range(count := rng.choice((29, 40, 70))):
        nodes.append(helper.make_node("Concat", [f"x{number}"] * 2, [f"x{number + 1}"], axis=0))
    return armed([*nodes, summed(f"x{count}")], {"axes": np.array([0])})


def pads(rng: Random) -> onnx.ModelProto:
    side = rng.choice((20_000, 2**31 - 1, 2**40))
    if rng.random() < 0.5:
        weights = {"kernel": np.ones((1, 1, 1, 1), dtype=np.float32)}
        node = helper.make_node("Conv", ["pixels", "kernel"], ["big"], pads=[side] * 4)
    else:
        weights = {"s": np.array([0, 0, side, side, 0, 0, side, side])}
        node = helper.make_node("Pad", ["pixels", "s"], ["big"])
    return armed([node, summed("big")], weights)


def resize(rng: Random) -> onnx.ModelProto:
    scales = np.array([1, 1, *[rng.choice((4e3, 1e5, 1e9))] * 2], dtype=np.float32)
    return armed([helper.make_node("Resize", ["pixels", "", "s"], ["big"]), summed("big")], {"s": scales})


def strided_back(rng: Random) -> onnx.ModelProto:
    node = helper.make_node("ConvTranspose", ["pixels", "kernel"], ["big"], strides=[rng.choice((5_000, 2**20))] * 2)
    return armed([node, summed("big")], {"kernel": np.ones((1, 1, 1, 1), dtype=np.float32)})


def one_hot(rng: Random) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["images"], ["indices"], to=TensorProto.INT64),
        helper.make_node("OneHot", ["indices", "depth", "pair"], ["big"]),
    ]
    return armed([*nodes, summed("big")], {"depth": np.int64(rng.choice(_HUGE)), "pair": np.zeros(2, dtype=np.float32)})


def random_values(rng: Random) -> onnx.ModelProto:
    return armed([helper.make_node("RandomNormal", [], ["big"], shape=[rng.choice(_HUGE)]), summed("big")], {})


def loop(rng: Random) -> onnx.ModelProto:
    """2^62 turns, and in one of two cases a value that grows at each."""
    grows = rng.random() < 0.5
    step = ("Concat", ["v", "v"]) if grows else ("Add", ["v", "v"])
    types = {"i": TensorProto.INT64, "c": TensorProto.BOOL, "d": TensorProto.BOOL}
    turn, go, stays = (helper.make_tensor_value_info(name, kind, []) for name, kind in types.items())
    before, after = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "vw")
    grown = helper.make_node(*step, ["w"], **({"axis": 0} if grows else {}))
    going = helper.make_node("Identity", ["c"], ["d"])
    body = helper.make_graph([grown, going], "body", [turn, go, before], [stays, after])
    nodes = [
        helper.make_node("Unsqueeze", ["q", "axes"], ["x"]),
        helper.make_node("Loop", ["turns", "go", "x"], ["big"], body=body),
    ]
    return armed([*nodes, summed("big")], {"turns": np.int64(2**62), "go": np.bool_(True), "axes": np.array([0])})


def branches(rng: Random) -> onnx.ModelProto:
    """A condition: branches that both want much."""

    def branch(name: str) -> onnx.GraphProto:
        nodes = [helper.make_node("Expand", ["q", "s"], [f"{name}.big"])]
        nodes.append(helper.make_node("ReduceSum", [f"{name}.big"], [name], keepdims=0))
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [])])

    nodes = [
        helper.make_node("Greater", ["q", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["r"], then_branch=branch("yes"), else_branch=branch("no")),
    ]
    return armed(nodes, {"s": np.array([rng.choice(_HUGE)]), "zero": np.float32(0)})


def scan(rng: Random) -> onnx.ModelProto:
    """A huge product in the body of a Scan, which is one node from outside."""
    body_nodes = [helper.make_node("MatMul", ["x", "x"], ["y"]), helper.make_node("Identity", ["row"], ["again"])]
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "row", "y", "again")}
    body = helper.make_graph(body_nodes, "body", [values["x"], values["row"]], [values["y"], values["again"]])
    nodes = [
        helper.make_node("Expand", ["q", "s"], ["start"]),
        helper.make_node("Scan", ["start", "linear"], ["big", "rows"], body=body, num_scan_inputs=1),
    ]
    return armed([*nodes, summed("big")], {"s": np.array([20_000, 20_000])})


def sparse_weight(rng: Random) -> onnx.ModelProto:
    """One number and the word that it stands among 2^40 zeros."""
    side = rng.choice(_HUGE)
    values = numpy_helper.from_array(np.ones(1, dtype=np.float32), "big")
    indices = numpy_helper.from_array(np.array([5]), "big.indices")
    tensor = helper.make_sparse_tensor(values, indices, [side])
    if rng.random() < 0.5:
        return armed([summed("big")], {}, sparse=[tensor])
    return armed([helper.make_node("Constant", [], ["big"], sparse_value=tensor), summed("big")], {})


def weight_without_data(rng: Random) -> onnx.ModelProto:
    tensor = onnx.TensorProto(name="big", dims=[rng.choice(_HUGE)], data_type=rng.choice((1, 8, 16)))
    return armed([summed("big")], {}, inits=[tensor])


def functions(rng: Random) -> onnx.ModelProto:
    """Each function calls the next one twice; inlined, 2^depth nodes."""
    depth, opsets = rng.choice((14, 24, 40)), [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    made = [helper.make_function("local", "F0", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], opsets)]
    for number in range(depth):
        calls = [helper.make_node(f"F{number}", [x], [y], domain="local") for x, y in (("a", "t"), ("t", "b"))]
        made.append(helper.make_function("local", f"F{number + 1}", ["a"], ["b"], calls, opsets))
    return armed([helper.make_node(f"F{depth}", ["q"], ["r"], domain="local")], {}, functions=made)


def long_arithmetic(rng: Random) -> onnx.ModelProto:
    """Not much memory, many operations: products of 2000 x 2000 matrices, one after the other."""
    return products(rng.choice((1_000, 20_000)))


def products(count: int) -> onnx.ModelProto:
    """So many products of 2000 x 2000 matrices, 8e9 multiply-adds each."""
    first = helper.make_node("Expand", ["q", "s"], ["x0"])
    nodes = [helper.make_node("MatMul", [f"x{n}", f"x{n}"], [f"x{n + 1}"]) for n in range(count)]
    return armed([first, *nodes, summed(f"x{count}")], {"s": np.array([2_000, 2_000])})


BOMBS: tuple[Callable[[Random], onnx.ModelProto], ...] = (
    constant_of_shape,
    expand,
    tile,
    number_range,
    broadcast,
    doublings,
    pads,
    resize,
    strided_back,
    one_hot,
    huge_images,
    random_values,
    loop,
    branches,
    sparse_weight,
    weight_without_data,
    functions,
    long_arithmetic,
)
