"""Find out in which number format OpenVINO computes a compiled model: a CPU may lack the one that the file has."""

from collections import Counter
from typing import Any, Final

_PRODUCTS: Final = frozenset({"Convolution", "FullyConnected", "MatMul"})
"""Layers that do nearly all arithmetic, by OpenVINO's names."""
_NAMES: Final = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "u8": "int8", "i8": "int8"}


def computed_precisions(compiled: Any) -> Counter[str]:
    """Return the number of convolutions and matrix products by the format that they are computed in, such as "fp32".

    Args:
        compiled: an `openvino.CompiledModel`; its runtime model names the format of each layer.
    """
    found: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if str(facts["layerType"].value) in _PRODUCTS:
            precision = str(facts["runtimePrecision"].value)
            found[_NAMES.get(precision, precision)] += 1
    return found


def precision_text(named: str, found: Counter[str]) -> str:
    """Return the precision of a file, and that of the arithmetic if it differs: "fp16, computed in fp32".

    Args:
        named: precision of the file.
        found: from `computed_precisions`.
    """
    used = [name for name, _ in found.most_common()]
    return named if used in ([], [named]) else f"{named}, computed in {' and '.join(used)}"
