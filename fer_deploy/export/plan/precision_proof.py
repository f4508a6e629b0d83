"""Find the types in which a plan's convolutions compute, and compare them with its graph and its ModelSpec.

There are three sources; the best that this machine has is used: the engine inspector (needs a GPU); the text of the
compiled program inside a plan of TensorRT for RTX (an undocumented format, known from 1.7.1; needs nothing); the
strongly typed network, which shows the requested types, not the compiled ones.

A graph declares the type of each convolution, and the plan must have these types, layer by layer: an INT8 graph may
have any number of layers in FP16, and exactly these must be Half in the plan.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fer_deploy.errors import ExportError
from fer_deploy.manifest import PrecisionProof
from fer_deploy.spec import Precision

_TYPES = {Precision.FP32: "Float", Precision.FP16: "Half", Precision.INT8: "Int8"}
"""TensorRT's names, from the highest precision to the lowest."""
_TENSOR = re.compile(rb'tensor=\{[^\n]*? name="([^"\n]+)"[^\n]*? type=(\w+) \}')
_OPERATION = re.compile(rb'\n\s*(\w+)=\{ name=[^\n]*? output(?:_args)?=\{ ?"([^"\n]+)"')
_CONVOLUTION = re.compile(rb'corrltn=\{ name="([^"\n]+)" output=\{[^}\n]*\} input=\{ ?"([^"\n]+)"')
_ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_NUM_SHOWN = 5
_BOOKKEEPING = (b"copy", b"memset")
_OF_SHAPES = ("Bool", "Int64")  # a plan also contains the arithmetic of its dynamic batch
_TARGETS = re.compile(rb"accelerators=\{((?:sm\d+ )+)\}")


@dataclass(frozen=True)
class LayerTypes:
    """Types in which a network or a plan computes, with TensorRT's names.

    Attributes:
        convolutions: number of convolutions by type, such as {"Half": 8}.
        layers: number of all layers by type.
        by_name: type of each convolution by the name of its ONNX node, as far as the source has names.
    """

    convolutions: dict[str, int]
    layers: dict[str, int]
    by_name: dict[str, str] = field(default_factory=dict, compare=False)


def types_of_network(trt: Any, network: Any) -> LayerTypes:
    """Return the types of a parsed network: a convolution is Int8 if both its inputs are dequantized from INT8."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    producers = {layer.get_output(i).name: layer for layer in layers for i in range(layer.num_outputs)}

    def is_dequantized(tensor: Any) -> bool:
        layer = producers.get(tensor.name)
        if layer is None or layer.type != trt.LayerType.DEQUANTIZE:
            return False
        return bool(layer.get_input(0).dtype == trt.DataType.INT8)

    convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
    quantized = [
        layer.num_inputs > 1 and is_dequantized(layer.get_input(0)) and is_dequantized(layer.get_input(1))
        for layer in convolutions
    ]
    types = ["Int8" if int8 else _name_of(layer) for layer, int8 in zip(convolutions, quantized, strict=True)]
    return LayerTypes(
        _count(types),
        _count(_name_of(layer) for layer in layers if layer.type != trt.LayerType.CONSTANT and layer.num_outputs),
        {str(layer.name): name for layer, name in zip(convolutions, types, strict=True)},
    )


def types_of_plan(plan: bytes) -> LayerTypes | None:
    """Return the types of the compiled program in a plan of TensorRT for RTX; None if its text has an unknown form."""
    types = {match[1]: match[2].decode().capitalize() for match in _TENSOR.finditer(plan)}
    found = [(match[1], types.get(match[2], "Unknown")) for match in _CONVOLUTION.finditer(plan)]
    convolutions = [name for _, name in found]
    if not convolutions or "Unknown" in convolutions:
        return None
    outputs = [types.get(match[2]) for match in _OPERATION.finditer(plan) if match[1] not in _BOOKKEEPING]
    by_name = {node.decode(errors="replace"): name for node, name in found}
    return LayerTypes(
        _count(convolutions), _count(name for name in outputs if name and name not in _OF_SHAPES), by_name
    )


def types_of_inspector(report: str) -> LayerTypes | None:
    """Return the types in the JSON of `get_engine_information`; None if it has no types of convolutions."""
    entries = [entry for entry in json.loads(report).get("Layers", []) if isinstance(entry, dict)]
    convolutions = [entry for entry in entries if re.search("conv|corr", _kind(entry), re.IGNORECASE)]
    types = [_input_type(entry) for entry in convolutions]
    if not types or "Unknown" in types:
        return None
    by_name = {
        node: name
        for entry, name in zip(convolutions, types, strict=True)
        for node in _ONNX_LAYER.findall(str(entry.get("Metadata", "")))
    }
    return LayerTypes(_count(types), _count(_type_in(entry.get("Outputs")) for entry in entries), by_name)


def targets_of_plan(plan: bytes) -> tuple[str, ...] | None:
    """Return the compute capabilities in a plan of TensorRT for RTX, such as ("8.6",); None: not found."""
    found = _TARGETS.search(plan)
    if found is None:
        return None
    return tuple(f"{number[:-1]}.{number[-1]}" for number in re.findall(r"\d+", found[1].decode()))


def require_declared(found: LayerTypes, declared: Precision, *, where: str, fix: str) -> None:
    """Compare a network with the precision in its ModelSpec.

    That is the lowest precision of any convolution; a graph may have any number of layers in a higher one.

    Raises:
        ExportError: there is no convolution, none of the declared type, or one of a lower type.
    """
    wanted, total = _TYPES[declared], sum(found.convolutions.values())
    if not total:
        raise ExportError(f"{where} has no convolution, so its precision cannot be proved. Fix: {fix}")
    if _lowest(found) is not declared:
        num = found.convolutions.get(wanted, 0)
        raise ExportError(
            f"{where} says precision {declared}, but {num} of {total} convolutions are {wanted} "
            f"({describe_types(found.convolutions)}). Fix: {fix}"
        )


def precision_of(found: LayerTypes, *, where: str, fix: str) -> Precision:
    """Return the lowest precision of a network without ModelSpec, the one that `require_declared` would accept.

    Raises:
        ExportError: there is no convolution, or one has a type that a ModelSpec cannot name.
    """
    lowest = _lowest(found)
    if lowest is None:
        raise ExportError(
            f"{where} has the convolutions {describe_types(found.convolutions)}; to prove a precision, at least one is "
            f"needed and each must be Float, Half or Int8. Fix: {fix}"
        )
    return lowest


def require_kept(compiled: LayerTypes, asked: LayerTypes, *, where: str, fix: str) -> None:
    """Compare a compiled plan with its network: each convolution must compute in the type of the graph.

    Convolutions are compared by name if the plan has names, else by number. A plan may have fewer, because the builder
    merges equal neighbors and replaces some by other operations.

    Raises:
        ExportError: the builder compiled a convolution to another type than the graph has.
    """
    others = [
        f"{name} is {kind} instead of {asked.by_name[name]}"
        for name, kind in compiled.by_name.items()
        if asked.by_name.get(name, kind) != kind
    ]
    if others:
        more = f" and {len(others) - _NUM_SHOWN} more" if len(others) > _NUM_SHOWN else ""
        what = ", ".join(others[:_NUM_SHOWN]) + more
        raise ExportError(f"{where}: {what}; {_both(compiled, asked)}. Fix: {fix}")
    if any(number > asked.convolutions.get(kind, 0) for kind, number in compiled.convolutions.items()):
        raise ExportError(f"{where}: {_both(compiled, asked)}. Fix: {fix}")


def _both(compiled: LayerTypes, asked: LayerTypes) -> str:
    return (
        f"the network's convolutions are {describe_types(asked.convolutions)}, "
        f"the compiled ones {describe_types(compiled.convolutions)}"
    )


def proof_of(types: LayerTypes, source: Any) -> PrecisionProof:
    """Return the proof for the manifest."""
    return PrecisionProof(convolutions=types.convolutions, layers=types.layers, source=source)


def describe_types(counts: dict[str, int]) -> str:
    """Return a text such as "8 Half, 1 Float"."""
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"


def _lowest(found: LayerTypes) -> Precision | None:
    """Return the lowest precision of any convolution; None: there is no convolution, or a type is unknown."""
    if not found.convolutions or found.convolutions.keys() - set(_TYPES.values()):
        return None
    of_that = [precision for precision, kind in _TYPES.items() if kind in found.convolutions]
    return of_that[-1]


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _name_of(layer: Any) -> str:
    return str(layer.get_output(0).dtype.name).capitalize()


def _kind(entry: dict[str, Any]) -> str:
    return f"{entry.get('LayerType', '')} {entry.get('ParameterType', '')}"


def _input_type(entry: dict[str, Any]) -> str:
    weights = entry.get("Weights")
    named = weights.get("Type") if isinstance(weights, dict) else None
    return str(named).capitalize() if named else _type_in(entry.get("Inputs"))


def _type_in(tensors: Any) -> str:
    """Return the type of the first tensor; TensorRT 10 writes "Row major linear FP16 format" or "Half"."""
    first = tensors[0] if isinstance(tensors, list) and tensors and isinstance(tensors[0], dict) else {}
    text = str(first.get("Format/Datatype") or first.get("DataType") or first.get("Format") or "").lower()
    words = {"Int8": ("int8",), "Half": ("fp16", "half"), "Bfloat16": ("bf16",), "Float": ("fp32", "float")}
    return next((name for name, keys in words.items() if any(key in text for key in keys)), "Unknown")
