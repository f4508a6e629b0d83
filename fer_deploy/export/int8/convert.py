"""Convert the FP32 graph to the other variants, INT8 within its accuracy budget."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.int8.accuracy_control import keep_budget, layer_costs
from fer_deploy.export.int8.calibration import Calibration, Method, calibrate
from fer_deploy.export.int8.quantize import fp16_graph, int8_graph, prepared, quantizable
from fer_deploy.export.int8.runaway import RunawayLayer, runaway_layers
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.variants import RUNAWAY_KEY, Artifact, Variant, artifact_of
from fer_deploy.export.verify.compare import Reference
from fer_deploy.export.verify.exact_engine import ExactEngine
from fer_deploy.export.verify.scores import Limits
from fer_deploy.spec import ModelSpec

OnMessage = Callable[[str], None]
"""Called with a message before each step."""


def open_artifact(artifact: Artifact) -> Engine:
    """Return the engine that verifies an artifact: as deployed on the CPU, or exact for TensorRT's INT8 graph."""
    if artifact.variant is Variant.INT8:
        return ExactEngine(artifact.model, artifact.spec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / artifact.name
        onnx.save_model(artifact.model, path)
        return open_engine(path, device="cpu")  # the file is read completely before this returns


def fp16_artifact(fp32: onnx.ModelProto, spec: ModelSpec) -> Artifact:
    """Return the FP16 variant."""
    return artifact_of(fp16_graph(fp32), spec, Variant.FP16, {})


class Int8Maker:
    """Factory of both INT8 variants from one FP32 graph and one calibration."""

    def __init__(
        self,
        fp32: onnx.ModelProto,
        spec: ModelSpec,
        faces: CalibrationFaces,
        method: Method,
        folder: Path,
        on_message: OnMessage,
    ) -> None:
        """Calibrate; `folder` stores the ranges during the lifetime of this object."""
        self._spec, self._on_message = spec, on_message
        self._runaway: tuple[RunawayLayer, ...] | None = None
        self._model = prepared(fp32)
        on_message(f"calibrating on {len(faces.images_nchw)} faces ({method})")
        self.calibration: Calibration = calibrate(self._model, spec, faces, method=method, cache=folder / "ranges.json")

    def artifact(self, variant: Variant, reference: Reference, limits: Limits) -> tuple[Artifact, NDArray[np.float32]]:
        """Return an INT8 variant within the limits, and its logits (N, C) for all faces of the reference.

        Raises:
            VerificationError: the limits are exceeded even with half of the layers in higher precision.
            ExportError: the graph cannot be quantized.
        """
        scheme = variant.scheme
        assert scheme is not None
        layers = quantizable(self._model, scheme)

        def make(float_layers: tuple[str, ...]) -> onnx.ModelProto:
            return self._graph(scheme, float_layers)

        def open_graph(model: onnx.ModelProto) -> Engine:
            return open_artifact(artifact_of(model, self._spec, variant, {}))

        costs = layer_costs(
            reference, layers, make, open_graph, progress=lambda layer: self._on_message(f"{variant}: cost of {layer}")
        )
        self._on_message(f"{variant}: accuracy")
        kept = keep_budget(reference, costs, make, open_graph, limits=limits, scheme=scheme)
        record: dict[str, Any] = {
            "scheme": scheme.value,
            "calibration": self.calibration.record(),
            **kept.record(),
            RUNAWAY_KEY: [asdict(found) for found in self._runaway_layers(reference)],
        }
        return artifact_of(kept.model, self._spec, variant, record), kept.logits

    def _runaway_layers(self, reference: Reference) -> tuple[RunawayLayer, ...]:
        """Return the runaway layers, computed once: both variants share the graph and the calibration."""
        if self._runaway is None:
            slices = {kind: part.faces for kind, part in reference.slices.items()}
            self._runaway = runaway_layers(self._model, self._spec.input.name, self.calibration.ranges, slices)
        return self._runaway

    def _graph(self, scheme: Scheme, float_layers: tuple[str, ...]) -> onnx.ModelProto:
        quantized = int8_graph(self._model, self.calibration, scheme, float_layers=float_layers)
        return fp16_graph(quantized) if scheme is Scheme.TENSORRT else quantized
