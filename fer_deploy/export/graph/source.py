"""Read the ONNX source of a plan once, and check it before a native parser reads it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import onnx
from google.protobuf.message import DecodeError

from fer_deploy.artifacts import read_model_file, require_file
from fer_deploy.engines.foreign_file import fix_for_missing, require_own_file
from fer_deploy.engines.network import TensorInfo
from fer_deploy.engines.onnx_file.outline import COPY_AGAIN, fault_of_onnx
from fer_deploy.errors import ArtifactError
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec, Precision, spec_from_json

OPSETS = range(19, 23)
"""Opsets that export writes and that were tested with the parsers; the parsers guess for others."""
NETWORK_OPSETS = range(11, 23)
"""Opsets of networks from other exporters; 11 was tested with YuNet."""
_DOMAINS = ("", "ai.onnx")
_FIX = "Fix: export the checkpoint again with fer-deploy export"
_FIX_NETWORK = "Fix: another ONNX file of this network"


@dataclass(frozen=True)
class OnnxFile:
    """One self-contained graph. Parsers must read `content`, the bytes that were hashed and checked.

    Attributes:
        name: file name.
        content: bytes of the file.
        sha256: digest of `content`.
        declared: precision in the file's ModelSpec; None: only the graph shows it.
        claimant: source of the declared precision, as a prefix of the file's name in errors.
        fix: text after "Fix:" if a parser refuses the graph.
    """

    name: str
    content: bytes
    sha256: str
    claimant: ClassVar[str]
    fix: ClassVar[str]

    @property
    def declared(self) -> Precision | None:
        """Return the declared precision, or None."""
        return None


@dataclass(frozen=True)
class OnnxSource(OnnxFile):
    """An emotion model."""

    spec: ModelSpec
    claimant = "the ModelSpec of "
    fix = "fer-deploy export, then fer-deploy quantize; a graph quantized for the CPU is not one for TensorRT"

    @property
    def declared(self) -> Precision:
        """Return the precision of the ModelSpec."""
        return self.spec.precision


@dataclass(frozen=True)
class OnnxNetwork(OnnxFile):
    """A network without ModelSpec, such as a face detector."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    claimant = ""
    fix = "another ONNX file of this network, or run the .onnx as it is"


def read_onnx(path: Path) -> OnnxSource:
    """Read and check an emotion model.

    Raises:
        ArtifactError: the file is missing, too large, truncated or not ONNX; has no ModelSpec, an untested opset or
            domain, weights in other files, functions, loops or branches; or its inputs and outputs differ from its
            ModelSpec.
    """
    require_file(path, fix=fix_for_missing(path))
    require_own_file(path)
    content, model = _read_checked(path, _FIX, f"Fix: {COPY_AGAIN}")
    text = _spec_text(model)
    if text is None:
        raise ArtifactError(
            f"cannot use {path}: it has no ModelSpec, so its labels and input are unknown. {_FIX}; a network of "
            "another kind, such as a face detector, is built with fer-deploy build --input-shapes"
        )
    _require_known_operators(model, path, OPSETS, f"{_FIX} --opset 20")
    spec = spec_from_json(text, where=str(path))
    _require_contract(model.graph, spec, path)
    return OnnxSource(path.name, content, hashlib.sha256(content).hexdigest(), spec)


def read_network(path: Path) -> OnnxNetwork:
    """Read and check a network without ModelSpec, as strictly as `read_onnx` but also with older opsets.

    Raises:
        ArtifactError: see `read_onnx`; or the file has a ModelSpec, or an output without a shape.
    """
    require_file(path, fix="give --onnx the network's file")
    content, model = _read_checked(path, _FIX_NETWORK, _FIX_NETWORK)
    if _spec_text(model) is not None:
        raise ArtifactError(
            f"cannot build {path} as a network without labels: it has a ModelSpec. "
            "Fix: leave --input-shapes out; --profile sets its batch sizes"
        )
    _require_known_operators(model, path, NETWORK_OPSETS, _FIX_NETWORK)
    shapeless = next((value for value in model.graph.output if not value.type.tensor_type.HasField("shape")), None)
    if shapeless is not None or not model.graph.output:
        what = "no output" if shapeless is None else f"an output {shapeless.name[:200]!r} without a shape"
        raise ArtifactError(f"cannot use {path}: its graph has {what}. {_FIX_NETWORK}")
    inputs, outputs = _infos(_inputs(model.graph)), _infos(list(model.graph.output))
    return OnnxNetwork(path.name, content, hashlib.sha256(content).hexdigest(), inputs, outputs)


def _read_checked(path: Path, fix: str, fix_damage: str) -> tuple[bytes, onnx.ModelProto]:
    content = read_model_file(path)
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as err:
        raise ArtifactError(f"cannot read {path}: truncated, or not an ONNX model. {fix_damage}") from err
    if not model.graph.node:
        raise ArtifactError(
            f"cannot use {path}: it has no graph, so it is truncated, or not an ONNX model. {fix_damage}"
        )
    _require_self_contained(model, path, fix)
    if (fault := fault_of_onnx(content)) is not None:
        raise ArtifactError(f"cannot use {path}: {fault}. {fix}")
    return content, model


def _spec_text(model: onnx.ModelProto) -> str | None:
    return {entry.key: entry.value for entry in model.metadata_props}.get(SPEC_KEY)


def _require_self_contained(model: onnx.ModelProto, path: Path, fix: str) -> None:
    for tensor in (*_tensors(model.graph), *(t for f in model.functions for n in f.node for t in _node_tensors(n))):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            where = next((entry.value for entry in tensor.external_data if entry.key == "location"), "an unnamed file")
            raise ArtifactError(
                f"cannot use {path}: its tensor {tensor.name[:200]!r} points to another file ({where[:200]!r}), which "
                f"may be any file of this machine; expected all weights inside. {fix}"
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


def _require_known_operators(model: onnx.ModelProto, path: Path, known: range, fix: str) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    if len(versions) != 1 or versions[0] not in known:
        raise ArtifactError(
            f"cannot use {path}: its opset is {', '.join(map(str, versions[:9])) or 'not given'}, "
            f"expected {known[0]} to {known[-1]}. {fix}"
        )
    foreign = next((node for node in model.graph.node if node.domain not in _DOMAINS), None)
    if foreign is not None:  # TensorRT's parser checks only the operator's name
        raise ArtifactError(
            f"cannot use {path}: its node {foreign.name[:200]!r} is a {foreign.op_type[:200]} of the domain "
            f"{foreign.domain[:200]!r}, "
            f"expected operators of the ONNX standard. {fix}"
        )


def _require_contract(graph: onnx.GraphProto, spec: ModelSpec, path: Path) -> None:
    inputs = [_describe(value) for value in _inputs(graph)]
    outputs = [_describe(value) for value in graph.output]
    wanted_input = (spec.input.name, spec.input.dtype, ("N", spec.input.channels, spec.input.height, spec.input.width))
    wanted_output = (OUTPUT_NAME, "float32", ("N", len(spec.labels)))
    if inputs != [wanted_input] or outputs != [wanted_output]:
        raise ArtifactError(
            f"cannot use {path}: its graph has inputs {str(inputs)[:500]} and outputs {str(outputs)[:500]}, its "
            f"ModelSpec says {str([wanted_input])[:500]} and {[wanted_output]}, where N is any batch. {_FIX}"
        )


def _inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def _infos(values: list[onnx.ValueInfoProto]) -> dict[str, TensorInfo]:
    described = {name: (dtype, dims) for name, dtype, dims in map(_describe, values)}
    return {
        name: TensorInfo(dtype, tuple(size if isinstance(size, int) else None for size in dims))
        for name, (dtype, dims) in described.items()
    }


def _describe(value: onnx.ValueInfoProto) -> tuple[str, str, tuple[str | int, ...]]:
    tensor = value.type.tensor_type
    try:
        dtype = "nothing" if tensor.elem_type == 0 else str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:
        dtype = f"type {tensor.elem_type}"
    dims = [dim.dim_value if dim.HasField("dim_value") else "N" for dim in tensor.shape.dim]
    return value.name, dtype, tuple(dims)
