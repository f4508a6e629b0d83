"""Measure the range of every quantizable tensor on real faces, and store it in ONNX Runtime's cache file."""

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
"""Number of faces per run; their activations need 0.4 GB for Net."""
_OPTIONS: dict[str, dict[str, float]] = {
    # ONNX Runtime cuts at the lower edge of a bin: with its 2048 bins, one large value shrinks the range too much.
    "percentile": {"percentile": 99.999, "num_bins": 8192},
    # With ONNX Runtime's defaults, 128 bins for 128 levels, only the largest range is possible. Here: 512 bins on each
    # side of zero for 128 levels; 2048, as in TensorRT's calibrator, need minutes in Python.
    "entropy": {"num_bins": 1024, "num_quantized_bins": 256},
}


class Method(StrEnum):
    """Method that derives a range from observed values.

    max: smallest to largest. percentile: without the outermost 0.001 %. entropy: the range that loses the least
    information by Kullback-Leibler divergence (Migacz 2017), as in TensorRT's calibrator.
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
    """Ranges and their origin.

    Attributes:
        method: see `Method`.
        num_faces: number of faces.
        num_degraded: number of degraded faces among the drawn ones; see `slices`.
        num_left_out: number of drawn images that were dropped as outliers; see `outliers`.
        faces_sha256: digest of the pixels, in order.
        source: description of the faces' origin.
        seed: seed of the draw.
        cache: ONNX Runtime's file of ranges.
        learned: layers whose input range comes from quantization-aware training instead of the measurement.
        ranges: largest |value| by tensor that the integers can represent.
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
        """Return ONNX Runtime's name of the method."""
        return _METHODS[self.method]

    def record(self) -> dict[str, Any]:
        """Return plain values for reports and metadata."""
        kept = {k: v for k, v in asdict(self).items() if k not in ("cache", "ranges")}
        return kept | {"learned": list(self.learned)}


class FaceReader(CalibrationDataReader):  # type: ignore[misc]
    """Reader that passes faces to ONNX Runtime's calibrators in one batch, because histograms need a constant size."""

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
        spec: ModelSpec; its `quantization`, ranges from training, replaces measured ranges.
        faces: real faces, preprocessed as in deployment.
        method: method for the ranges.
        cache: JSON file to write.

    Raises:
        ExportError: there are no faces, a value is not finite, or the graph lacks a layer with a learned range.
    """
    images_nchw = faces.images_nchw
    if len(images_nchw) == 0:
        raise ExportError(
            "no faces to calibrate INT8 with; random data would give random ranges. Fix: --data with faces"
        )
    _require_finite_weights(model)
    typical = typical_faces(model, images_nchw, spec.input.name, _watched(model))
    images_nchw = images_nchw[typical]
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):  # create_calibrator prints its progress
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
        except ValueError as err:  # NumPy has no histogram for NaN or infinity
            raise ExportError(f"calibration cannot measure ranges: {err}. {_FIX_WEIGHTS}") from err
    learned = _learned_ranges(model, spec)
    for tensor, limit in learned.items():
        # The CPU's graph drops a ReLU if the range begins at 0, because the range then clips negative values.
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
    """Map input tensors to learned ranges; the widest if several layers read the tensor.

    A graph has one scale per tensor, training one per layer; a block's first convolution and its shortcut share one.
    """
    learned = spec.quantization or {}
    layers = layers_of(model)
    if unknown := sorted(learned.keys() - {layer.name for layer in layers}):
        raise ExportError(
            f"the ModelSpec has a learned range for {unknown[0]!r}, which the graph lacks. Fix: release again"
        )
    found: dict[str, float] = {}
    for layer in layers:
        tensor = layer.node.input[0]
        found |= {tensor: max(learned[layer.name], found.get(tensor, 0.0))} if layer.name in learned else {}
    return found


def _require_finite_weights(model: onnx.ModelProto) -> None:
    """Check the weights, because ranges of activations may hide NaN: ONNX Runtime's ReLU turns it into 0."""
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise ExportError(f"calibration found weights that are not finite: {tensor.name}. {_FIX_WEIGHTS}")


def _require_finite(data: dict[str, Any]) -> None:
    for name, values in data.items():
        low, high = values.range_value
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ExportError(f"calibration found values that are not finite at {name!r}. {_FIX_WEIGHTS}")
