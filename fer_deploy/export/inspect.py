"""Inspect a checkpoint or an ONNX file without running it: nothing is unpickled, no session is created."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from safetensors import SafetensorError, safe_open

from fer_deploy.artifacts import file_sha256, read_model_file
from fer_deploy.engines.onnx_file.outline import COPY_AGAIN, fault_of_onnx
from fer_deploy.errors import ArtifactError
from fer_deploy.spec import SPEC_KEY, spec_from_json

_LAYER_TYPES = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_INTEGER_LAYERS = ("QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "QGemm")
_TRANSPARENT = ("Cast", "Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze")
_PRECISIONS = {
    onnx.TensorProto.FLOAT: "fp32",
    onnx.TensorProto.FLOAT16: "fp16",
    onnx.TensorProto.BFLOAT16: "bf16",
    onnx.TensorProto.DOUBLE: "fp64",
}
_FIX = "Fix: copy the file again, or export or release it again"


def inspect_checkpoint(path: Path) -> dict[str, Any]:
    """Return spec, tensors, metadata, size and digest of a `.safetensors` file; the weights are not read.

    Raises:
        ArtifactError: the file is truncated or foreign.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            tensors = [
                {"name": name, "dtype": part.get_dtype(), "shape": list(part.get_shape())}
                for name, part in slices.items()
            ]
    except (SafetensorError, OSError) as err:
        raise ArtifactError(
            f"cannot read {path}: truncated, or not a safetensors file ({str(err)[:200]}). {_FIX}"
        ) from err
    sizes = Counter[str]()
    for tensor in tensors:
        sizes[tensor["dtype"]] += _num_values(tensor["shape"])
    spec, problems = _spec_of(metadata, path)
    return {
        "kind": "checkpoint",
        **_file(path),
        "spec": spec,
        "problems": problems,
        "num_values": sum(sizes.values()),
        "values_by_dtype": dict(sizes),
        "metadata_keys": sorted(metadata),
        "tensors": tensors,
    }


def inspect_onnx(path: Path) -> dict[str, Any]:
    """Return spec, opsets, inputs, outputs, metadata, size, digest and the precision of each layer of an ONNX file.

    Raises:
        ArtifactError: the file is truncated or foreign.
    """
    try:
        content = read_model_file(path)
        model = onnx.ModelProto.FromString(content)
    except DecodeError as err:
        raise ArtifactError(f"cannot read {path}: truncated, or not an ONNX model. Fix: {COPY_AGAIN}") from err
    if not model.graph.node:
        raise ArtifactError(
            f"cannot read {path}: it has no graph, so it is truncated or not an ONNX model. Fix: {COPY_AGAIN}"
        )
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    spec, problems = _spec_of(metadata, path)
    external = sorted({tensor.name for tensor in _tensors(model.graph) if tensor.data_location == tensor.EXTERNAL})
    if external:
        problems.append(f"{len(external)} tensors are in other files, such as {external[0]}; no engine may load those")
    if (fault := fault_of_onnx(content)) is not None:
        problems.append(f"no engine loads it: {fault}")
    layers = _layers(model, {} if fault else _inferred_types(content))
    return {
        "kind": "onnx",
        **_file(path),
        "spec": spec,
        "problems": problems,
        "ir_version": model.ir_version,
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "inputs": [_value(value) for value in model.graph.input],
        "outputs": [_value(value) for value in model.graph.output],
        "num_nodes": len(model.graph.node),
        "operators": dict(Counter(node.op_type for node in model.graph.node).most_common()),
        "layers_by_precision": dict(Counter(layer["precision"] for layer in layers)),
        "metadata": {key: value for key, value in metadata.items() if key != SPEC_KEY},
        "layers": layers,
    }


def _file(path: Path) -> dict[str, Any]:
    return {"file": str(path), "bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _spec_of(metadata: dict[str, str], path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    if SPEC_KEY not in metadata:
        return None, ["no ModelSpec inside: labels and input are unknown, and no engine opens it"]
    try:
        return spec_from_json(metadata[SPEC_KEY], where=str(path)).model_dump(mode="json", exclude_none=True), []
    except ArtifactError as err:
        return None, [str(err)]


def _layers(model: onnx.ModelProto, inferred: dict[str, int]) -> list[dict[str, Any]]:
    """Return name, operator, precision and weight shape of every convolution and matrix product.

    Args:
        model: any graph, valid or not.
        inferred: element type of each value, as far as known.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    types = {name: tensor.data_type for name, tensor in weights.items()} | inferred
    layers = []
    for node in model.graph.node:
        if node.op_type not in (*_LAYER_TYPES, *_INTEGER_LAYERS):
            continue
        sources = [_source(name, producers) for name in node.input[:2]]
        is_int8 = all(source in producers and producers[source].op_type == "DequantizeLinear" for source in sources)
        if is_int8 or node.op_type in _INTEGER_LAYERS:
            precision = "int8"
        else:
            known = [types[name] for name in (*node.output[:1], *node.input[1:2]) if name in types]
            precision = _PRECISIONS.get(known[0], "unknown") if known else "unknown"
        weight = weights.get(_weight(node, producers))
        shape = [] if weight is None else list(weight.dims)
        layers.append({"name": node.name, "operator": node.op_type, "precision": precision, "weight_shape": shape})
    return layers


def _source(name: str, producers: dict[str, onnx.NodeProto], through: tuple[str, ...] = _TRANSPARENT) -> str:
    """Return the name of the tensor before nodes that only cast or reshape it."""
    passed = set()
    while name in producers and producers[name].op_type in through and producers[name].input and name not in passed:
        passed.add(name)  # a damaged graph may contain a cycle
        name = str(producers[name].input[0])
    return name


def _weight(node: onnx.NodeProto, producers: dict[str, onnx.NodeProto]) -> str:
    """Return the name of the initializer of a layer's second operand, also through quantization."""
    place = 3 if node.op_type in ("QLinearConv", "QLinearMatMul", "QGemm") else 1
    name = node.input[place] if place < len(node.input) else ""
    return _source(name, producers, (*_TRANSPARENT, "DequantizeLinear", "QuantizeLinear"))


def _inferred_types(content: bytes) -> dict[str, int]:
    try:
        graph = onnx.shape_inference.infer_shapes(content).graph
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError, DecodeError):
        return {}  # the graph is damaged; its content is reported anyway
    return {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor of a graph: initializers, constants, and those of its subgraphs."""
    yield from graph.initializer
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def _value(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    shape = [side.dim_param or (side.dim_value if side.HasField("dim_value") else "?") for side in tensor.shape.dim]
    names = onnx.TensorProto.DataType
    dtype = names.Name(tensor.elem_type).lower() if tensor.elem_type in names.values() else f"type {tensor.elem_type}"
    return {"name": value.name, "dtype": dtype, "shape": shape}


def _num_values(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
