"""In which types a plan's convolutions compute, and whether that is what its graph and its ModelSpec say.

Three witnesses, the best that can be heard on this machine: the engine inspector (needs a GPU); the text of the
compiled program inside a plan of TensorRT for RTX (an undocumented format, read from 1.7.1; needs nothing); the
strongly typed network, which says what was asked for, not what was compiled.

A graph declares the type of each convolution, and the plan is held to that, layer by layer: an INT8 graph may keep any
number of layers in FP16, and then just these are Half in the plan.
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
"""From the highest to the lowest."""
_TENSOR = re.compile(rb'tensor=\{[^\n]*? name="([^"\n]+)"[^\n]*? type=(\w+) \}')
_OPERATION = re.compile(rb'\n\s*(\w+)=\{ name=[^\n]*? output(?:_args)?=\{ ?"([^"\n]+)"')
_CONVOLUTION = re.compile(rb'corrltn=\{ name="([^"\n]+)" output=\{[^}\n]*\} input=\{ ?"([^"\n]+)"')
_ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_NUM_SHOWN = 5
_BOOKKEEPING = (b"copy", b"memset")
_OF_SHAPES = ("Bool", "Int64")  # a plan also holds the arithmetic of its dynamic batch
_TARGETS = re.compile(rb"accelerators=\{((?:sm\d+ )+)\}")


@dataclass(frozen=True)
class LayerTypes:
    """Types in which a network or a plan computes, with TensorRT's names of them.

    Attributes:
        convolutions: their number by type, such as {"Half": 8}.
        layers: the number of all layers by type.
        by_name: type of each convolution by the name of its ONNX node, as far as the witness knows names.
    """

    convolutions: dict[str, int]
    layers: dict[str, int]
    by_name: dict[str, str] = field(default_factory=dict, compare=False)


def types_of_network(trt: Any, network: Any) -> LayerTypes:
    """Count a parsed network: a convolution is Int8 where both its inputs are dequantized from INT8."""
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
    """Count the compiled program in a plan of TensorRT for RTX; None where its text is not of the known form."""
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
    """Count the JSON of `get_engine_information`; None where it names layers only, or types of no convolution."""
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
    """Return the compute capabilities that a plan of TensorRT for RTX names, such as ("8.6",); None: not found."""
    found = _TARGETS.search(plan)
    if found is None:
        return None
    return tuple(f"{number[:-1]}.{number[-1]}" for number in re.findall(r"\d+", found[1].decode()))


def require_declared(found: LayerTypes, declared: Precision, *, where: str, mend: str) -> None:
    """Compare a network with the precision that its ModelSpec says.

    That is the lowest precision of any convolution; a graph may keep any number of layers in a higher one.

    Raises:
        ExportError: there is no convolution, none of that type, or one of a lower: the file says what it is not.
    """
    wanted, total = _TYPES[declared], sum(found.convolutions.values())
    if not total:
        raise ExportError(f"{where} has no convolution, so its precision cannot be proved. Fix: {mend}")
    if _lowest(found) is not declared:
        num = found.convolutions.get(wanted, 0)
        raise ExportError(
            f"{where} says precision {declared}, but {num} of {total} convolutions are {wanted} "
            f"({describe_types(found.convolutions)}). Fix: {mend}"
        )


def precision_of(found: LayerTypes, *, where: str, mend: str) -> Precision:
    """Return the lowest precision of a network without ModelSpec, the one that `require_declared` would accept.

    Raises:
        ExportError: there is no convolution, or one of a type that no ModelSpec names.
    """
    lowest = _lowest(found)
    if lowest is None:
        raise ExportError(
            f"{where} has the convolutions {describe_types(found.convolutions)}; to prove a precision, there must be "
            f"some and each must be Float, Half or Int8. Fix: {mend}"
        )
    return lowest


def require_kept(compiled: LayerTypes, asked: LayerTypes, *, where: str, mend: str) -> None:
    """Compare a compiled plan with its network: each convolution computes in the type that the graph gives it.

    Where the plan names its convolutions, by name; the others by number. Fewer there may be, because equal ones beside
    each other are merged and some become other operations.

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
        raise ExportError(f"{where}: {what}; {_both(compiled, asked)}. Fix: {mend}")
    if any(number > asked.convolutions.get(kind, 0) for kind, number in compiled.convolutions.items()):
        raise ExportError(f"{where}: {_both(compiled, asked)}. Fix: {mend}")


def _both(compiled: LayerTypes, asked: LayerTypes) -> str:
    return (
        f"the network's convolutions are {describe_types(asked.convolutions)}, "
        f"the compiled ones {describe_types(compiled.convolutions)}"
    )


def proof_of(types: LayerTypes, source: Any) -> PrecisionProof:
    """Return what stands in the manifest."""
    return PrecisionProof(convolutions=types.convolutions, layers=types.layers, source=source)


def describe_types(counts: dict[str, int]) -> str:
    """Return such as "8 Half, 1 Float"."""
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"


def _lowest(found: LayerTypes) -> Precision | None:
    """Return the lowest precision of any convolution; None: there is none, or one of an unknown type."""
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
    """Type of the first tensor; TensorRT 10 words it "Row major linear FP16 format", or plainly "Half"."""
    first = tensors[0] if isinstance(tensors, list) and tensors and isinstance(tensors[0], dict) else {}
    text = str(first.get("Format/Datatype") or first.get("DataType") or first.get("Format") or "").lower()
    words = {"Int8": ("int8",), "Half": ("fp16", "half"), "Bfloat16": ("bf16",), "Float": ("fp32", "float")}
    return next((name for name, keys in words.items() if any(key in text for key in keys)), "Unknown")
