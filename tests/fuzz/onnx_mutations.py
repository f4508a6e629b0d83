"""Wrong numbers, names and links in an ONNX graph that a parser still takes for one."""

import struct
from collections.abc import Callable
from contextlib import suppress
from random import Random

import onnx
from fuzz.byte_mutations import mutate_bytes
from fuzz.json_mutations import mutate_json
from fuzz.onnx_bombs import BOMBS
from fuzz.onnx_words import LOCATIONS, OPERATORS
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from fer_deploy.spec import SPEC_KEY

_SIDES = (-1, 0, 1, 3, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, -(2**63))


def mutate_network(rng: Random, model: onnx.ModelProto) -> bytes:
    """Return the bytes of a model that is wounded in its structure, in its bytes, or armed."""
    share = rng.random()
    if share < 0.25:
        return mutate_bytes(rng, model.SerializeToString())
    if share < 0.4:
        return rng.choice(BOMBS)(rng).SerializeToString()
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        with suppress(DecodeError):  # too deep to be copied; as deep as it came stays
            rng.choice(_WOUNDS)(rng, model)
    return model.SerializeToString()


def _any_weight(rng: Random, model: onnx.ModelProto) -> onnx.TensorProto:
    constants = [attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")]
    found = [*model.graph.initializer, *constants]
    return rng.choice(found) if found else TensorProto()


def _any_node(rng: Random, model: onnx.ModelProto) -> onnx.NodeProto:
    return rng.choice(model.graph.node) if model.graph.node else onnx.NodeProto()


def _names(model: onnx.ModelProto) -> list[str]:
    return [name for node in model.graph.node for name in (*node.input, *node.output)] or [""]


def _dims(rng: Random, model: onnx.ModelProto) -> None:
    dims = rng.choice(
        (
            [rng.choice(_SIDES)],
            [2**32, 2**32],
            [2**33] * 4,
            [-1, 4],
            [2**62, 4],
            [0, 2**62],
            [1] * 3_000,
            [],
            [rng.choice(_SIDES), rng.choice(_SIDES)],
        )
    )
    tensor = _any_weight(rng, model)
    del tensor.dims[:]
    tensor.dims.extend(dims)


def _dtype(rng: Random, model: onnx.ModelProto) -> None:
    _any_weight(rng, model).data_type = rng.choice((0, 2, 7, 8, 10, 11, 14, 16, 17, 21, 22, 23, 24, 99, -1))


def _data(rng: Random, model: onnx.ModelProto) -> None:
    tensor = _any_weight(rng, model)
    match rng.randrange(5):
        case 0:
            tensor.ClearField("raw_data")
        case 1:
            tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
        case 2:
            tensor.raw_data += rng.randbytes(rng.choice((1, 4, 1000)))
        case 3:
            tensor.float_data.extend([1.0] * rng.choice((1, 1000)))
        case _:
            tensor.string_data.append(b"\xff" * 10)


def _weights_that_are_no_numbers(rng: Random, model: onnx.ModelProto) -> None:
    tensor = _any_weight(rng, model)
    number = rng.choice((float("nan"), float("inf"), 3e38))
    if tensor.raw_data:
        start = rng.randrange(len(tensor.raw_data))
        tensor.raw_data = (tensor.raw_data[:start] + struct.pack("<f", number) + tensor.raw_data[start + 4 :])[
            : len(tensor.raw_data)
        ]
    elif tensor.float_data:
        tensor.float_data[rng.randrange(len(tensor.float_data))] = number


def _external(rng: Random, model: onnx.ModelProto) -> None:
    tensor = _any_weight(rng, model)
    entries = {"location": rng.choice(LOCATIONS)}
    if rng.random() < 0.6:
        entries["offset"] = rng.choice(("0", "4", "-1", "99999999999", "9" * 30, "x", str(2**63)))
    if rng.random() < 0.6:
        entries["length"] = rng.choice((str(len(tensor.raw_data)), "-4", "0", str(2**40), str(2**63 - 1), "x"))
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def _opset(rng: Random, model: onnx.ModelProto) -> None:
    match rng.randrange(5):
        case 0:
            del model.opset_import[:]
        case 1:
            model.opset_import.add(domain="com.microsoft", version=1)
        case 2:
            model.opset_import.add(domain="", version=7)
        case _:
            for entry in model.opset_import:
                entry.version = rng.choice((0, 1, 6, 12, 19, 22, 25, 99, 2**62, -1))
    if rng.random() < 0.2:
        model.ir_version = rng.choice((0, 1, 3, 9, 99, 2**62, -1))


def _operator(rng: Random, model: onnx.ModelProto) -> None:
    node = _any_node(rng, model)
    node.op_type = rng.choice(OPERATORS)
    if rng.random() < 0.2:
        node.domain = rng.choice(("ai.onnx.ml", "com.microsoft", "com.acme", "ai.onnx"))


def _links(rng: Random, model: onnx.ModelProto) -> None:
    """Wire a node to any value: later ones make a cycle, itself the smallest of them."""
    node, names = _any_node(rng, model), _names(model)
    if node.op_type and rng.random() < 0.3:
        node.op_type = rng.choice(OPERATORS)
    match rng.randrange(7):
        case 0 if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        case 1 if node.input and node.output:
            node.input[0] = node.output[0]
        case 2 if node.output:
            node.output[0] = rng.choice(names)
        case 3:
            del node.input[rng.randrange(len(node.input) + 1) :]
        case 4:
            del node.output[:]
        case 5:
            node.input.extend([rng.choice(names)] * rng.choice((1, 5, 2000)))
        case _:
            node.output.append(rng.choice(("", "extra", *names)))


def _attributes(rng: Random, model: onnx.ModelProto) -> None:
    node = _any_node(rng, model)
    if not node.attribute or rng.random() < 0.2:
        name = rng.choice(("axis", "perm", "to", "strides", "group", "x"))
        node.attribute.add(name=name, type=onnx.AttributeProto.INT, i=rng.choice(_SIDES))
        return
    attribute = rng.choice(node.attribute)
    match rng.randrange(5):
        case 0:
            attribute.type = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14))
        case 1:
            attribute.name = rng.choice(("", "axis", "value", "then_branch", "pads", "strides", "dilations"))
        case 2:
            attribute.i = rng.choice(_SIDES)
            attribute.ints.append(rng.choice(_SIDES))
        case 3:
            for index in range(len(attribute.ints)):
                attribute.ints[index] = rng.choice(_SIDES)
        case _:
            node.attribute.append(attribute)


def _graph_inputs(rng: Random, model: onnx.ModelProto) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output] or [onnx.ValueInfoProto()])
    tensor = value.type.tensor_type
    match rng.randrange(8):
        case 0:
            value.name = rng.choice(("faces", "", "images", "logits", "conv.weight", "a" * 9_000))
        case 1:
            tensor.elem_type = rng.choice((0, 1, 3, 7, 8, 10, 16, 23, 99))
        case 2 if tensor.shape.dim:
            rng.choice(tensor.shape.dim).dim_value = rng.choice(_SIDES)
        case 3 if tensor.shape.dim:
            rng.choice(tensor.shape.dim).dim_param = rng.choice(("", "batch", "n\x00", "batch * 2"))
        case 4:
            tensor.ClearField("shape")
        case 5:
            value.type.sequence_type.elem_type.tensor_type.elem_type = 1
        case 6:
            del model.graph.input[:]
        case _:
            model.graph.output.append(value)


def _model_spec(rng: Random, model: onnx.ModelProto) -> None:
    for entry in model.metadata_props:
        if entry.key == SPEC_KEY:
            text = mutate_json(rng, entry.value)
            entry.value = text.encode("utf-8", "replace").decode()


def _metadata(rng: Random, model: onnx.ModelProto) -> None:
    match rng.randrange(4):
        case 0:
            del model.metadata_props[:]
        case 1:
            model.metadata_props.add(key=SPEC_KEY, value="{}")
        case 2:
            for number in range(5_000):
                model.metadata_props.add(key=str(number), value="x")
        case _:
            model.metadata_props.add(key="fer_variant", value=rng.choice(("int8", "", "x" * 100_000)))


def _nodes(rng: Random, model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    match rng.randrange(5):
        case 0:
            rng.shuffle(nodes)
        case 1:
            nodes = nodes[: rng.randrange(len(nodes) + 1)]
        case 2:
            nodes += nodes
        case 3:
            nodes = []
        case _:
            nodes += [helper.make_node("Identity", ["images"], [f"idle{number}"]) for number in range(1_000)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _subgraphs(rng: Random, model: onnx.ModelProto) -> None:
    """Nest If in If; protobuf itself stops at 100 messages."""
    inner = helper.make_graph([_any_node(rng, model)], "inner", [], [])
    for _ in range(rng.choice((1, 5, 12, 25, 30))):
        node = onnx.NodeProto(op_type="If", input=[rng.choice(_names(model))], output=["y"])
        node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g.CopyFrom(inner)
        inner = onnx.GraphProto(name="nested", node=[node])
    model.graph.node.extend(inner.node)


def _texts(rng: Random, model: onnx.ModelProto) -> None:
    """Give everything a name that no error should repeat in full."""
    text = rng.choice(("x" * 100_000, "\n" * 50, "\x1b[31m", "{0}%s", "\x00", "\u202e"))
    node = _any_node(rng, model)
    node.name = node.doc_string = model.graph.name = model.producer_name = text
    if rng.random() < 0.5:
        for name in (*node.input, *node.output)[:1]:
            for other in model.graph.node:
                for names in (other.input, other.output):
                    names[:] = [text if known == name else known for known in names]
    if rng.random() < 0.3:
        node.op_type = text


def _functions(rng: Random, model: onnx.ModelProto) -> None:
    domain = rng.choice(("local", ""))
    body = [helper.make_node(rng.choice(("Relu", "F")), ["a"], ["b"], domain=rng.choice(("", domain)))]
    model.functions.append(helper.make_function(domain, "F", ["a"], ["b"], body, [helper.make_opsetid("", 20)]))
    model.opset_import.add(domain=domain, version=1)
    node = _any_node(rng, model)
    node.op_type, node.domain = "F", domain


_WOUNDS: tuple[Callable[[Random, onnx.ModelProto], None], ...] = (
    _dims,
    _dtype,
    _data,
    _weights_that_are_no_numbers,
    _external,
    _opset,
    _operator,
    _links,
    _links,
    _attributes,
    _graph_inputs,
    _model_spec,
    _model_spec,
    _metadata,
    _nodes,
    _subgraphs,
    _functions,
    _texts,
)
