"""Read the scales of a quantized ONNX graph: the calibrated range of each activation, and the scales of each weight."""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


@dataclass(frozen=True, eq=False)
class Scale:
    """Quantization of one tensor: real value = scale x (integer - zero point).

    Attributes:
        scale: (1,) or (channels,) float64.
        zero_point: of the same shape, int64.
        dtype: of the integers, "int8" or "uint8".
        is_weight: whether the tensor is a constant.
    """

    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    dtype: str
    is_weight: bool

    def range(self) -> tuple[float, float]:
        """Return the smallest and the largest real value that the integers reach."""
        limits = np.iinfo(self.dtype)
        low = (limits.min - self.zero_point) * self.scale
        high = (limits.max - self.zero_point) * self.scale
        return float(low.min()), float(high.max())

    def is_equal(self, other: "Scale") -> bool:
        """Return whether both map integers to the same values."""
        same = np.array_equal(self.scale, other.scale) and np.array_equal(self.zero_point, other.zero_point)
        return same and self.dtype == other.dtype


def scales_of(model: onnx.ModelProto) -> dict[str, Scale]:
    """Return the scales of each tensor that a QuantizeLinear or DequantizeLinear converts, by the tensor's name.

    Scales that are not constants are left out.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    quantized = {node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    found: dict[str, Scale] = {}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[0] in quantized:
            continue
        scale, zero = (constants.get(name) for name in [*node.input, ""][1:3])
        if scale is None:
            continue
        factors = numpy_helper.to_array(scale).astype(np.float64).ravel()
        points = np.zeros(1, dtype=np.uint8) if zero is None else numpy_helper.to_array(zero).ravel()
        if str(points.dtype) not in ("int8", "uint8"):
            continue
        shaped = np.broadcast_to(points.astype(np.int64), factors.shape)
        found[node.input[0]] = Scale(factors, shaped, str(points.dtype), node.input[0] in constants)
    return found
