"""ONNX Runtime engine, on the CPU or on CUDA. Proves the provider it got: it never falls back in silence."""

from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from fer_deploy.engines.base import Device, Engine
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec, spec_from_json

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_ORT_ERRORS = (
    ort_errors.EPFail, ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf,
    ort_errors.NoModel, ort_errors.NoSuchFile, ort_errors.NotImplemented, ort_errors.RuntimeException,
)  # fmt: skip


class OnnxRuntimeEngine(Engine):
    """Runs an exported ONNX file; any batch size."""

    def __init__(self, session: ort.InferenceSession, spec: ModelSpec, provider: str) -> None:
        super().__init__(spec, f"ONNX Runtime {ort.__version__}, {provider}, {spec.precision}")
        self._session = session

    @classmethod
    def open(cls, path: Path, *, device: Device = "auto") -> Self:
        """Load `path`; see `fer_deploy.engines.open_engine` for the errors."""
        provider = _choose_provider(device)
        options = ort.SessionOptions()
        options.log_severity_level = 3  # errors reach us as exceptions; warnings would only clutter the screen
        # Threads that spin between two calls take the cores from the detector.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(str(path), options, providers=[provider])
        except _ORT_ERRORS as err:
            raise ArtifactError(
                f"cannot load {path}: truncated, or not an ONNX model that ONNX Runtime {ort.__version__} reads "
                f"({str(err).splitlines()[0][:200]}). Fix: export it again with fer-deploy export"
            ) from err
        got = session.get_providers()[0]
        if got != provider:
            raise EngineError(
                f"asked ONNX Runtime for {provider} and got {got}; this machine's CUDA, cuDNN or driver does not fit. "
                "Fix: --device cpu to run on the CPU on purpose, or install the CUDA version onnxruntime-gpu names"
            )
        return cls(session, _read_contract(session, path), provider)

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            (logits,) = self._session.run([OUTPUT_NAME], {self.spec.input.name: images_nchw})
        except _ORT_ERRORS as err:
            raise EngineError(f"ONNX Runtime failed on a batch of {len(images_nchw)}: {err}") from err
        return np.asarray(logits, dtype=np.float32)


def _choose_provider(device: Device) -> str:
    available = ort.get_available_providers()
    if device == "auto":
        device = "cuda" if _PROVIDERS["cuda"] in available else "cpu"
    provider = _PROVIDERS[device]
    if provider not in available:
        raise EngineError(
            f"device {device} needs {provider}; this ONNX Runtime build offers {', '.join(available)}. "
            "Fix: pip uninstall onnxruntime; pip install 'fer-toolchain[gpu]' - or --device cpu"
        )
    return provider


def _read_contract(session: ort.InferenceSession, path: Path) -> ModelSpec:
    metadata = session.get_modelmeta().custom_metadata_map
    if SPEC_KEY not in metadata:
        raise ArtifactError(
            f"cannot use {path}: it holds no ModelSpec, so its labels and input are unknown. "
            "Fix: export the checkpoint with fer-deploy export"
        )
    spec = spec_from_json(metadata[SPEC_KEY], where=str(path))
    inputs = {i.name: (i.type, i.shape[1:]) for i in session.get_inputs()}
    outputs = {o.name: (o.type, o.shape[1:]) for o in session.get_outputs()}
    wanted_input = (f"tensor({spec.input.dtype})", [spec.input.channels, spec.input.height, spec.input.width])
    wanted_output = ("tensor(float)", [len(spec.labels)])
    if inputs != {spec.input.name: wanted_input} or outputs != {OUTPUT_NAME: wanted_output}:
        raise ArtifactError(
            f"cannot use {path}: its graph has inputs {inputs} and outputs {outputs}, its ModelSpec promises "
            f"{spec.input.name}: {wanted_input} and {OUTPUT_NAME}: {wanted_output}. Fix: export it again"
        )
    return spec
