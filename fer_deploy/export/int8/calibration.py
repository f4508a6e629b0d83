"""Calibration: the range of every tensor that may be quantized, from real faces; kept as ONNX Runtime's cache file."""

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    CalibrationMethod,
    TensorData,
    create_calibrator,
    save_tensors_data,
)

from fer_deploy.errors import ExportError
from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.graph.layers import layers_of
from fer_deploy.export.int8.outliers import typical_faces
from fer_deploy.spec import ModelSpec

CALIBRATED_OPS = ("Conv", "Gemm", "MatMul", "Add", "Mul", "Sigmoid", "GlobalAveragePool", "Relu", "MaxPool")
_FIX_WEIGHTS = "Fix: train or release again"
_CHUNK = 64
"""Faces whose activations are in memory at a time: 0.4 GB for Net."""
_OPTIONS: dict[str, dict[str, float]] = {
    # ONNX Runtime cuts at the lower edge of a bin: with its 2048 bins, one large value costs all others their range.
    "percentile": {"percentile": 99.999, "num_bins": 8192},
    # ONNX Runtime's defaults, 128 bins for 128 levels, leave no range to choose but the largest. Here: 512 bins on each
    # side of zero for 128 levels; 2048, as TensorRT's calibrator had, take minutes in Python.
    "entropy": {"num_bins": 1024, "num_quantized_bins": 256},
}


class Method(StrEnum):
    """How a range follows from the values seen.

    max: smallest to largest. percentile: without the outermost 0.001 %. entropy: the range that loses the least
    information by Kullback-Leibler divergence (Migacz 2017), as TensorRT's calibrator had it.
    """

    MAX = "max"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


_METHODS = {
    Method.MAX: CalibrationMethod.MinMax,
    Method.PERCENTILE: CalibrationMethod.Percentile,
    Method.ENTROPY: CalibrationMethod.Entropy,
}


@dataclass(frozen=True)
class Calibration:
    """What the ranges came from.

    Attributes:
        method: see `Method`.
        num_faces: how many.
        num_degraded: how many of those drawn were degraded, see `slices`.
        num_left_out: drawn as well, but no faces, see `outliers`.
        faces_sha256: of their pixels, in order.
        source: where they come from, in words.
        seed: of the draw.
        cache: ONNX Runtime's file of ranges.
        learned: layers whose input range was learned in quantization-aware training and replaces the measured one.
        ranges: largest |value| by tensor that integers can hold.
    """

    method: Method
    num_faces: int
    num_degraded: int
    num_left_out: int
    faces_sha256: str
    source: str
    seed: int
    cache: Path
    learned: tuple[str, ...] = ()
    ranges: Mapping[str, float] = field(default_factory=dict)

    @property
    def ort_method(self) -> CalibrationMethod:
        """The method in ONNX Runtime's words."""
        return _METHODS[self.method]

    def record(self) -> dict[str, Any]:
        """Return plain values for reports and metadata."""
        kept = {k: v for k, v in asdict(self).items() if k not in ("cache", "ranges")}
        return kept | {"learned": list(self.learned)}


class FaceReader(CalibrationDataReader):  # type: ignore[misc]
    """Hands faces to ONNX Runtime's calibrators, in one batch: those with histograms fail on batches of two sizes."""

    def __init__(self, images_nchw: NDArray[np.uint8], name: str) -> None:
        self._batches: Iterator[dict[str, NDArray[np.uint8]]] = iter([{name: images_nchw}])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next feed, or None at the end."""
        return next(self._batches, None)


def calibrate(
    model: onnx.ModelProto, spec: ModelSpec, faces: CalibrationFaces, *, method: Method, cache: Path
) -> Calibration:
    """Run faces through the FP32 graph and write the range of every tensor to `cache`.

    Args:
        model: prepared FP32 graph; see `quantize.prepared`.
        spec: where it has `quantization`, ranges learned in training replace those measured.
        faces: real ones, as the deployed preprocess makes them.
        method: from values to ranges.
        cache: JSON file to write.

    Raises:
        ExportError: no faces, a value that is not finite, or a learned range of a layer that the graph lacks.
    """
    images_nchw = faces.images_nchw
    if len(images_nchw) == 0:
        raise ExportError(
            "no faces to calibrate INT8 with; random data would give random ranges. Fix: --data with faces"
        )
    _require_finite_weights(model)
    typical = typical_faces(model, images_nchw, spec.input.name, _watched(model))
    images_nchw = images_nchw[typical]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        path = Path(folder) / "model.onnx"
        onnx.save_model(model, path)
        calibrator = create_calibrator(
            path,
            list(CALIBRATED_OPS),
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=_METHODS[method],
            extra_options=_OPTIONS.get(method, {}),
        )
        try:
            for start in range(0, len(images_nchw), _CHUNK):
                calibrator.collect_data(FaceReader(images_nchw[start : start + _CHUNK], spec.input.name))
            ranges = calibrator.compute_data()
        except ValueError as err:  # NumPy makes no histogram of NaN or infinity
            raise ExportError(f"calibration cannot measure ranges: {err}. {_FIX_WEIGHTS}") from err
    learned = _learned_ranges(model, spec)
    for tensor, limit in learned.items():
        # The CPU's graph drops a ReLU whose range begins at 0, and trusts the range to cut off what lies below.
        is_positive = float(np.ravel(ranges.data[tensor].range_value[0])[0]) >= 0
        lowest, highest = np.float32(0 if is_positive else -limit), np.float32(limit)
        ranges.data[tensor] = TensorData(lowest=lowest, highest=highest)
    _require_finite(ranges.data)
    save_tensors_data(ranges, cache)
    sha256 = hashlib.sha256(images_nchw.tobytes()).hexdigest()
    names = tuple(layer.name for layer in layers_of(model) if layer.name in (spec.quantization or {}))
    num_left_out = int((~typical).sum())
    largest = {
        name: max(abs(float(np.ravel(end)[0])) for end in data.range_value) for name, data in ranges.data.items()
    }
    return Calibration(
        method=method,
        num_faces=len(images_nchw),
        num_degraded=faces.num_degraded,
        num_left_out=num_left_out,
        faces_sha256=sha256,
        source=faces.source,
        seed=faces.seed,
        cache=cache,
        learned=names,
        ranges=largest,
    )


def _watched(model: onnx.ModelProto) -> tuple[str, ...]:
    return tuple(node.output[0] for node in model.graph.node if node.op_type in CALIBRATED_OPS)


def _learned_ranges(model: onnx.ModelProto, spec: ModelSpec) -> dict[str, float]:
    """Map the input tensor of each layer with a learned range to it; the widest, where several layers read the tensor.

    A graph has one scale for a tensor, training one for each reader: a block's first convolution and its shortcut's.
    """
    learned = spec.quantization or {}
    layers = layers_of(model)
    if unknown := sorted(learned.keys() - {layer.name for layer in layers}):
        raise ExportError(
            f"the ModelSpec has a learned range for {unknown[0]!r}, which is no layer of the graph. Fix: release again"
        )
    found: dict[str, float] = {}
    for layer in layers:
        tensor = layer.node.input[0]
        found |= {tensor: max(learned[layer.name], found.get(tensor, 0.0))} if layer.name in learned else {}
    return found


def _require_finite_weights(model: onnx.ModelProto) -> None:
    """Look at the weights themselves: ranges of activations may hide NaN, for a ReLU in ONNX Runtime makes 0 of it."""
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise ExportError(f"calibration found weights that are not finite: {tensor.name}. {_FIX_WEIGHTS}")


def _require_finite(data: dict[str, Any]) -> None:
    for name, values in data.items():
        low, high = values.range_value
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ExportError(f"calibration found values that are not finite at {name!r}. {_FIX_WEIGHTS}")
