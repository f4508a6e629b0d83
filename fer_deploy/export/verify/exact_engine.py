"""Run a graph node by node, exactly as written: ONNX Runtime on the CPU without its optimizer.

It verifies graphs for TensorRT. The optimizer of ONNX Runtime 1.32 changes the results of a Q/DQ graph in FP16 on the
CPU (Net: |Δlogit| 0.7 instead of 0.12), which is not a property of the graph.
"""

from pathlib import Path
from typing import Self

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.onnxruntime.session import ORT_ERRORS
from fer_deploy.errors import EngineError, ExportError
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec, spec_from_json


class ExactEngine(Engine):
    """Engine for a graph in memory; for verification, not for speed."""

    def __init__(self, model: onnx.ModelProto, spec: ModelSpec) -> None:
        """Create a session of the graph.

        Raises:
            ExportError: ONNX Runtime has no kernel for a node, or refuses the graph.
        """
        super().__init__(spec, f"ONNX Runtime {ort.__version__}, CPU, optimizer off, {spec.precision}")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except ORT_ERRORS as err:
            raise ExportError(f"ONNX Runtime cannot run the graph as it is written: {err}") from err

    @classmethod
    def open(cls, path: Path, *, device: Device = "auto") -> Self:
        """Load a file; the CPU is the only device."""
        model = onnx.load(path, load_external_data=False)
        text = next((prop.value for prop in model.metadata_props if prop.key == SPEC_KEY), "")
        return cls(model, spec_from_json(text, where=str(path)))

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            (logits,) = self._session.run([OUTPUT_NAME], {self.spec.input.name: images_nchw})
        except ORT_ERRORS as err:
            raise EngineError(f"ONNX Runtime failed on a batch of {len(images_nchw)}: {err}") from err
        return np.asarray(logits, dtype=np.float32)
