"""What differs between the contents of two ONNX graphs: weights by name, and scales of INT8."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from fer_deploy.artifacts import read_model_file
from fer_deploy.export.differences import named_differences
from fer_deploy.export.int8.scales import Scale, scales_of


def graph_differences(one: Path, other: Path) -> dict[str, Any]:
    """Compare two files that `inspect_onnx` has read.

    Returns:
        `weights` and `scales`, each with `added`, `removed` and `changed`: for a weight its type, shape, digest and
        norm; for a scale the range of real values that its integers reach, and their type.
    """
    models = [onnx.ModelProto.FromString(read_model_file(path)) for path in (one, other)]
    weights, scales = [], []
    for model in models:
        found = scales_of(model)
        of_scales = _names_of_scales(model)
        weights.append([_weight(tensor) for tensor in model.graph.initializer if tensor.name not in of_scales])
        scales.append([_scale(name, scale) for name, scale in found.items()])
    return {"weights": named_differences(*weights), "scales": named_differences(*scales)}


def _names_of_scales(model: onnx.ModelProto) -> set[str]:
    quantizers = ("QuantizeLinear", "DequantizeLinear")
    return {name for node in model.graph.node if node.op_type in quantizers for name in node.input[1:]}


def _weight(tensor: onnx.TensorProto) -> dict[str, Any]:
    if tensor.data_location == tensor.EXTERNAL:
        return {"name": tensor.name, "dtype": "in another file"}
    values = numpy_helper.to_array(tensor)
    return {
        "name": tensor.name,
        "dtype": str(values.dtype),
        "shape": list(values.shape),
        "sha256": hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest(),
        "norm": float(np.linalg.norm(values.astype(np.float64))),
    }


def _scale(name: str, scale: Scale) -> dict[str, Any]:
    digest = hashlib.sha256(scale.scale.tobytes() + scale.zero_point.tobytes()).hexdigest()
    return {
        "name": name,
        "dtype": scale.dtype,
        "range": list(scale.range()),
        "num_scales": len(scale.scale),
        "sha256": digest,
    }
