"""Calibration: the range of every tensor that may be quantized, from real faces; kept as ONNX Runtime's cache file."""

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    CalibrationMethod,
    TensorData,
    create_calibrator,
    save_tensors_data,
)

from fer_deploy.errors import ExportError
from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.layers import layers_of
from fer_deploy.spec import ModelSpec

CALIBRATED_OPS = ("Conv", "Gemm", "MatMul", "Add", "Mul")
_CHUNK = 64
"""Faces whose activations are in memory at a time: 0.4 GB for Net."""
_PERCENTILE = 99.99


class Method(StrEnum):
    """How a range follows from the values seen.

    max: smallest to largest. percentile: without the outermost 0.01 %. entropy: the range that loses the least
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
        faces_sha256: of their pixels, in order.
        source: where they come from, in words.
        seed: of the draw.
        cache: ONNX Runtime's file of ranges.
        learned: layers whose input range was learned in quantization-aware training and replaces the measured one.
    """

    method: Method
    num_faces: int
    faces_sha256: str
    source: str
    seed: int
    cache: Path
    learned: tuple[str, ...] = ()

    @property
    def ort_method(self) -> CalibrationMethod:
        """The method in ONNX Runtime's words."""
        return _METHODS[self.method]

    def record(self) -> dict[str, Any]:
        """Return plain values for reports and metadata."""
        return {k: v for k, v in asdict(self).items() if k != "cache"} | {"learned": list(self.learned)}


class FaceReader(CalibrationDataReader):  # type: ignore[misc]
    """Hands faces to ONNX Runtime's calibrators."""

    def __init__(self, images_nchw: NDArray[np.uint8], name: str, batch_size: int = 16) -> None:
        self._batches: Iterator[dict[str, NDArray[np.uint8]]] = (
            {name: images_nchw[i : i + batch_size]} for i in range(0, len(images_nchw), batch_size)
        )

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
        ExportError: no faces, or a value that is not finite.
    """
    images_nchw = faces.images_nchw
    if len(images_nchw) == 0:
        raise ExportError(
            "no faces to calibrate INT8 with; random data would give random ranges. Fix: --data with faces"
        )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        path = Path(folder) / "model.onnx"
        onnx.save_model(model, path)
        options = {"percentile": _PERCENTILE} if method is Method.PERCENTILE else {}
        calibrator = create_calibrator(
            path, list(CALIBRATED_OPS), augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=_METHODS[method], extra_options=options,
        )  # fmt: skip
        for start in range(0, len(images_nchw), _CHUNK):
            calibrator.collect_data(FaceReader(images_nchw[start : start + _CHUNK], spec.input.name))
        ranges = calibrator.compute_data()
    learned = _learned_ranges(model, spec)
    for tensor, (_, limit) in learned.items():
        ranges.data[tensor] = TensorData(lowest=np.float32(-limit), highest=np.float32(limit))
    _require_finite(ranges.data)
    save_tensors_data(ranges, cache)
    sha256 = hashlib.sha256(images_nchw.tobytes()).hexdigest()
    names = tuple(layer for layer, _ in learned.values())
    return Calibration(method, len(images_nchw), sha256, faces.source, faces.seed, cache, names)


def _learned_ranges(model: onnx.ModelProto, spec: ModelSpec) -> dict[str, tuple[str, float]]:
    """Map the input tensor of each layer with a learned range to (layer, range)."""
    learned = spec.quantization or {}
    return {
        layer.node.input[0]: (layer.name, learned[layer.name]) for layer in layers_of(model) if layer.name in learned
    }


def _require_finite(data: dict[str, Any]) -> None:
    for name, values in data.items():
        low, high = values.range_value
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ExportError(f"calibration found values that are not finite at {name!r}. Fix: train or release again")
