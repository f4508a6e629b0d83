"""Find runaway layers: on degraded faces their input goes far beyond its INT8 range.

An integer graph clips such values and a float graph does not, so they may predict different emotions. The solution is
a network that was trained on such faces; INT8 can only clip, or use coarse steps for all faces.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.graph.layers import layers_of
from fer_deploy.export.int8.outliers import peaks_of
from fer_deploy.export.verify.slices import Slice

NUM_FACES = 64
"""Number of faces of each slice."""
_FACTOR = 2.0
"""Smallest ratio of value to range of a runaway layer: below that, clipping costs little."""
_PERCENTILE = 95.0
"""Percentile over faces, so that one odd face among twenty does not count."""


@dataclass(frozen=True)
class RunawayLayer:
    """A layer whose input leaves its range.

    Attributes:
        layer: name of the layer.
        slice: slice with the largest values.
        factor: 95th percentile of these faces' largest values, as a multiple of the range.
    """

    layer: str
    slice: Slice
    factor: float


def runaway_layers(
    model: onnx.ModelProto, input_name: str, ranges: Mapping[str, float], slices: Mapping[Slice, VerificationFaces]
) -> tuple[RunawayLayer, ...]:
    """Return the runaway layers, the worst first.

    Args:
        model: the calibrated FP32 graph.
        input_name: input of the graph.
        ranges: largest |value| by tensor that INT8 can represent.
        slices: faces that were not used for calibration.
    """
    layers = {layer.name: layer.node.input[0] for layer in layers_of(model) if ranges.get(layer.node.input[0], 0) > 0}
    tensors = tuple(dict.fromkeys(layers.values()))
    if not tensors:
        return ()
    worst: dict[str, RunawayLayer] = {}
    for kind, faces in slices.items():
        images = faces.images_nchw[faces.positions(NUM_FACES)]
        peaks = np.percentile(peaks_of(model, images, input_name, tensors), _PERCENTILE, axis=0)
        factor_of = {tensor: float(peak) / ranges[tensor] for tensor, peak in zip(tensors, peaks, strict=True)}
        for name, tensor in layers.items():
            factor = factor_of[tensor]
            if factor >= _FACTOR and (name not in worst or factor > worst[name].factor):
                worst[name] = RunawayLayer(name, kind, factor)
    return tuple(sorted(worst.values(), key=lambda found: -found.factor))
