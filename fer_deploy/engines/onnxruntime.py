"""ONNX Runtime engine on CPU, CUDA, TensorRT or TensorRT for RTX. Proves the provider it got: no silent fallback."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.onnxruntime_cuda import BucketRunner
from fer_deploy.engines.onnxruntime_session import ORT_ERRORS, ProvedSession, SessionRequest, open_session
from fer_deploy.engines.plan_buckets import buckets_of
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec, spec_from_json

VARIANT_KEY = "fer_variant"
"""Key in `metadata_props` of a quantized graph: fp32, fp16, int8 (for TensorRT) or int8-cpu."""
CPU_WARM_UP = (1, 2, 4)
"""Batches run at opening on the CPU, where nothing is captured and any later size needs nothing more."""
Runner = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_log = logging.getLogger(__name__)


class OnnxRuntimeEngine(Engine):
    """Runs an exported ONNX file; any batch size. Warm when opened."""

    def __init__(self, spec: ModelSpec, runner: Runner, opened: ProvedSession) -> None:
        """Take a runner whose logits are the caller's to keep."""
        super().__init__(spec, f"ONNX Runtime {ort.__version__}, {opened.provider}, {spec.precision}")
        self._runner: Runner | None = runner
        self._settings = MappingProxyType(dict(opened.settings))

    @classmethod
    def open(cls, path: Path, *, device: Device = "auto", threads: int | None = None, cuda_graph: bool = True,
             max_batch: int = 64) -> Self:  # fmt: skip
        """Load `path` and warm it up; see `fer_deploy.engines.open_engine` for the errors.

        Args:
            path: an `.onnx` file with a ModelSpec inside.
            device: where to run; "auto" is CUDA where this build of ONNX Runtime has it, else the CPU.
            threads: of the CPU provider, the calling one among them; None: every physical core that this process
                may use. Engines of one process that run at the same moment must share; see `engines.threads`.
            cuda_graph: replay a captured graph for each batch bucket; CUDA only.
            max_batch: largest bucket on a GPU (1, 2, 4, ...); larger batches are split.

        Raises:
            ConfigError: more threads than cores.
        """
        opened = open_session(path, SessionRequest(device, threads, cuda_graph))
        spec = _read_contract(opened.session, path)
        started = time.perf_counter()
        try:
            if opened.device == "cpu":
                runner = _warm_cpu_runner(opened.session, spec)
            else:
                runner = BucketRunner(opened.session, spec, buckets_of(1, max_batch))
                runner.warm_up()
        except (*ORT_ERRORS, RuntimeError) as err:
            raise EngineError(f"{opened.provider} failed to warm up on {path}: {err}. Fix: --device cpu") from err
        opened.settings["warm_up_ms"] = f"{1e3 * (time.perf_counter() - started):.0f}"
        return cls(spec, runner, opened)

    @property
    def settings(self) -> Mapping[str, str]:
        """Provider, threads and session options as the session has them, for reports."""
        return self._settings

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._runner is None:
            raise EngineError(f"{self.description} is closed. Fix: open it again with open_engine")
        try:
            return self._runner(images_nchw)
        except (*ORT_ERRORS, RuntimeError) as err:
            raise EngineError(f"ONNX Runtime failed on a batch of {len(images_nchw)}: {err}") from err

    def close(self) -> None:
        """Free the session and its buffers; may be called twice."""
        self._runner = None


def _warm_cpu_runner(session: ort.InferenceSession, spec: ModelSpec) -> Runner:
    def run(images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        (logits,) = session.run([OUTPUT_NAME], {spec.input.name: images_nchw})
        return np.asarray(logits, dtype=np.float32)

    for size in CPU_WARM_UP:
        run(np.zeros((size, spec.input.channels, spec.input.height, spec.input.width), dtype=np.uint8))
    return run


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
    if metadata.get(VARIANT_KEY) == "int8" and session.get_providers()[0] == "CPUExecutionProvider":
        _log.warning(
            "%s is the INT8 graph for TensorRT; on a CPU the graph made for it is faster. "
            "Fix: open %s-int8-cpu.onnx instead",
            path, spec.architecture,
        )  # fmt: skip
    return spec
