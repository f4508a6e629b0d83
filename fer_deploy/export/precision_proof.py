"""In which types a plan's convolutions compute, and whether that is what its ModelSpec says.

Three witnesses, the best that can be heard on this machine: the engine inspector (needs a GPU); the text of the
compiled program inside a plan of TensorRT for RTX (an undocumented format, read from 1.7.1; needs nothing); the
strongly typed network, which says what was asked for, not what was compiled.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fer_deploy.errors import ExportError
from fer_deploy.manifest import PrecisionProof
from fer_deploy.spec import Precision

_TYPES = {Precision.FP32: "Float", Precision.FP16: "Half", Precision.INT8: "Int8"}
_TENSOR = re.compile(rb'tensor=\{[^\n]*? name="([^"\n]+)"[^\n]*? type=(\w+) \}')
_OPERATION = re.compile(rb'\n\s*(\w+)=\{ name=[^\n]*? output(?:_args)?=\{ ?"([^"\n]+)"')
_CONVOLUTION = re.compile(rb'corrltn=\{ name="[^"\n]+" output=\{[^}\n]*\} input=\{ ?"([^"\n]+)"')
_BOOKKEEPING = (b"copy", b"memset")
_OF_SHAPES = ("Bool", "Int64")  # a plan also holds the arithmetic of its dynamic batch
_TARGETS = re.compile(rb"accelerators=\{((?:sm\d+ )+)\}")


@dataclass(frozen=True)
class LayerTypes:
    """Number of convolutions and of layers by type, such as {"Half": 8}, with TensorRT's names of the types."""

    convolutions: dict[str, int]
    layers: dict[str, int]


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
    return LayerTypes(
        _count("Int8" if int8 else _name_of(layer) for layer, int8 in zip(convolutions, quantized, strict=True)),
        _count(_name_of(layer) for layer in layers if layer.type != trt.LayerType.CONSTANT and layer.num_outputs),
    )


def types_of_plan(plan: bytes) -> LayerTypes | None:
    """Count the compiled program in a plan of TensorRT for RTX; None where its text is not of the known form."""
    types = {match[1]: match[2].decode().capitalize() for match in _TENSOR.finditer(plan)}
    convolutions = [types.get(match[1], "Unknown") for match in _CONVOLUTION.finditer(plan)]
    if not convolutions or "Unknown" in convolutions:
        return None
    outputs = [types.get(match[2]) for match in _OPERATION.finditer(plan) if match[1] not in _BOOKKEEPING]
    return LayerTypes(_count(convolutions), _count(name for name in outputs if name and name not in _OF_SHAPES))


def types_of_inspector(report: str) -> LayerTypes | None:
    """Count the JSON of `get_engine_information`; None where it names layers only, or types of no convolution."""
    entries = [entry for entry in json.loads(report).get("Layers", []) if isinstance(entry, dict)]
    convolutions = [_input_type(entry) for entry in entries if re.search("conv|corr", _kind(entry), re.IGNORECASE)]
    if not convolutions or "Unknown" in convolutions:
        return None
    return LayerTypes(_count(convolutions), _count(_type_in(entry.get("Outputs")) for entry in entries))


def targets_of_plan(plan: bytes) -> tuple[str, ...] | None:
    """Return the compute capabilities that a plan of TensorRT for RTX names, such as ("8.6",); None: not found."""
    found = _TARGETS.search(plan)
    if found is None:
        return None
    return tuple(f"{number[:-1]}.{number[-1]}" for number in re.findall(r"\d+", found[1].decode()))


def require_declared(found: LayerTypes, declared: Precision, *, where: str, mend: str) -> None:
    """Hold a network against its ModelSpec.

    For fp32 every convolution must be Float; for fp16 and int8 more than half must be of that type, since a graph may
    keep sensitive layers higher.

    Raises:
        ExportError: there is no convolution, or they are of another type: a silent FP32, or a mislabelled file.
    """
    wanted, total = _TYPES[declared], sum(found.convolutions.values())
    if not total:
        raise ExportError(f"{where} has no convolution, so its precision cannot be proved. Fix: {mend}")
    num = found.convolutions.get(wanted, 0)
    if not _is_of(found, declared):
        raise ExportError(
            f"{where} says precision {declared}, but {num} of {total} convolutions are {wanted} "
            f"({describe_types(found.convolutions)}). Fix: {mend}"
        )


def precision_of(found: LayerTypes, *, where: str, mend: str) -> Precision:
    """Return the precision that a network without ModelSpec has: the one that `require_declared` would accept.

    Raises:
        ExportError: there is no convolution, or they are so mixed that there is none.
    """
    of_that = [precision for precision in Precision if found.convolutions and _is_of(found, precision)]
    if not of_that:
        raise ExportError(
            f"{where} has the convolutions {describe_types(found.convolutions)}; to prove a precision, all must be "
            f"Float or more than half Half or Int8. Fix: {mend}"
        )
    return of_that[0]


def require_kept(compiled: LayerTypes, asked: LayerTypes, declared: Precision, *, where: str, mend: str) -> None:
    """Hold a compiled plan against its network: no more convolutions of a type other than the declared one.

    Fewer there may be: equal ones beside each other are merged.

    Raises:
        ExportError: the builder compiled convolutions to another type than the graph has.
    """
    wanted = _TYPES[declared]
    strangers = [sum(n for name, n in t.convolutions.items() if name != wanted) for t in (compiled, asked)]
    if strangers[0] > strangers[1]:
        raise ExportError(
            f"{where}: the network's convolutions are {describe_types(asked.convolutions)}, "
            f"the compiled ones {describe_types(compiled.convolutions)}. Fix: {mend}"
        )


def proof_of(types: LayerTypes, source: Any) -> PrecisionProof:
    """Return what stands in the manifest."""
    return PrecisionProof(convolutions=types.convolutions, layers=types.layers, source=source)


def describe_types(counts: dict[str, int]) -> str:
    """Return such as "8 Half, 1 Float"."""
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"


def _is_of(found: LayerTypes, precision: Precision) -> bool:
    num, total = found.convolutions.get(_TYPES[precision], 0), sum(found.convolutions.values())
    return num == total if precision is Precision.FP32 else 2 * num > total


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
