"""Layers whose activations run away: on degraded faces their input goes far beyond the range that INT8 gives it.

An integer graph clips such values and a float graph does not, so both say different things of the same face. The mend
is a network that was trained on such faces; INT8 can only choose between clipping and coarse steps for everyone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from fer_deploy.export.faces import JudgedFaces
from fer_deploy.export.graph.layers import layers_of
from fer_deploy.export.int8.outliers import peaks_of
from fer_deploy.export.verify.slices import Slice

NUM_FACES = 64
"""Faces of each slice that are looked at."""
_FACTOR = 2.0
"""How far beyond its range a value must be: below that, clipping costs little."""
_PERCENTILE = 95.0
"""Over faces: one odd face among twenty makes no runaway layer."""


@dataclass(frozen=True)
class RunawayLayer:
    """A layer whose input leaves its range.

    Attributes:
        layer: its name.
        slice: the faces on which it goes furthest.
        factor: the 95th percentile of these faces' largest values, in ranges.
    """

    layer: str
    slice: Slice
    factor: float


def runaway_layers(
    model: onnx.ModelProto, input_name: str, ranges: Mapping[str, float], slices: Mapping[Slice, JudgedFaces]
) -> tuple[RunawayLayer, ...]:
    """Return the layers that run away, the worst first.

    Args:
        model: the FP32 graph that was calibrated.
        input_name: of the graph.
        ranges: largest |value| by tensor that INT8 can hold.
        slices: faces that were not calibrated on.
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
