"""The ONNX file that a plan is built from: read once, judged before a parser of native code sees a byte of it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from fer_deploy.artifacts import read_model_file, require_file
from fer_deploy.engines.onnx_outline import fault_of_onnx
from fer_deploy.errors import ArtifactError
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec, spec_from_json

OPSETS = range(19, 23)
"""Opsets that export writes and that were tried with the parsers; they read foreign ones, too, and guess."""
_DOMAINS = ("", "ai.onnx")
_FIX = "Fix: export the checkpoint again with fer-deploy export"


@dataclass(frozen=True)
class OnnxSource:
    """One self-contained model. `content` is what was hashed and judged, and the only thing to be parsed."""

    name: str
    content: bytes
    sha256: str
    spec: ModelSpec


def read_onnx(path: Path) -> OnnxSource:
    """Read and judge a model.

    Raises:
        ArtifactError: missing, too large, truncated, no ONNX, no ModelSpec, of an opset or domain that was not tried,
            with weights in other files, with functions, loops or branches, or with inputs and outputs other than its
            ModelSpec says.
    """
    require_file(path, fix="fer-deploy export --checkpoint weights/net.safetensors --out artifacts/net")
    content = read_model_file(path)
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as err:
        raise ArtifactError(f"cannot read {path}: truncated, or not an ONNX model ({err}). {_FIX}") from err
    if not model.graph.node:
        raise ArtifactError(f"cannot use {path}: it holds no graph, so it is not an ONNX model. {_FIX}")
    _require_self_contained(model, path)
    if (fault := fault_of_onnx(content)) is not None:
        raise ArtifactError(f"cannot use {path}: {fault}. {_FIX}")
    _require_known_operators(model, path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if SPEC_KEY not in metadata:
        raise ArtifactError(f"cannot use {path}: no ModelSpec in it, so its labels and input are unknown. {_FIX}")
    spec = spec_from_json(metadata[SPEC_KEY], where=str(path))
    _require_contract(model.graph, spec, path)
    return OnnxSource(path.name, content, hashlib.sha256(content).hexdigest(), spec)


def _require_self_contained(model: onnx.ModelProto, path: Path) -> None:
    for tensor in (*_tensors(model.graph), *(t for f in model.functions for n in f.node for t in _node_tensors(n))):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            where = next((entry.value for entry in tensor.external_data if entry.key == "location"), "an unnamed file")
            raise ArtifactError(
                f"cannot use {path}: its tensor {tensor.name[:200]!r} points to another file ({where[:200]!r}), which "
                f"may be any file of this machine; expected all weights inside. {_FIX}"
            )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def _require_known_operators(model: onnx.ModelProto, path: Path) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise ArtifactError(
            f"cannot use {path}: its opset is {', '.join(map(str, versions[:9])) or 'not given'}, "
            f"expected {OPSETS[0]} to {OPSETS[-1]}. {_FIX} --opset 20"
        )
    foreign = next((node for node in model.graph.node if node.domain not in _DOMAINS), None)
    if foreign is not None:  # TensorRT's parser looks at the operator's name alone
        raise ArtifactError(
            f"cannot use {path}: its node {foreign.name[:200]!r} is a {foreign.op_type[:200]} of the domain "
            f"{foreign.domain[:200]!r}, "
            f"expected operators of the ONNX standard. {_FIX}"
        )


def _require_contract(graph: onnx.GraphProto, spec: ModelSpec, path: Path) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [_describe(value) for value in graph.input if value.name not in weights]
    outputs = [_describe(value) for value in graph.output]
    wanted_input = (spec.input.name, spec.input.dtype, ("N", spec.input.channels, spec.input.height, spec.input.width))
    wanted_output = (OUTPUT_NAME, "float32", ("N", len(spec.labels)))
    if inputs != [wanted_input] or outputs != [wanted_output]:
        raise ArtifactError(
            f"cannot use {path}: its graph has inputs {str(inputs)[:500]} and outputs {str(outputs)[:500]}, its "
            f"ModelSpec promises {str([wanted_input])[:500]} and {[wanted_output]}, N being any batch. {_FIX}"
        )


def _describe(value: onnx.ValueInfoProto) -> tuple[str, str, tuple[str | int, ...]]:
    tensor = value.type.tensor_type
    try:
        dtype = "nothing" if tensor.elem_type == 0 else str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:
        dtype = f"type {tensor.elem_type}"
    dims = [dim.dim_value if dim.HasField("dim_value") else "N" for dim in tensor.shape.dim]
    return value.name, dtype, tuple(dims)
