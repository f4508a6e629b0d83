"""ONNX Runtime engine on CPU, CUDA, TensorRT or TensorRT for RTX. It verifies the provider: no silent fallback."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from fer_deploy.artifacts import read_model_file
from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.buckets import buckets_of
from fer_deploy.engines.onnxruntime.cuda_graphs import BucketRunner
from fer_deploy.engines.onnxruntime.session import ORT_ERRORS, ProvedSession, SessionRequest, open_session
from fer_deploy.errors import ArtifactError, EngineError, argument
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, VARIANT_KEY, ModelSpec, spec_from_json

CPU_WARM_UP = (1, 2)
"""Batches run at opening on the CPU: they show that the graph takes one image and several. Nothing is captured there,
so other sizes need no warm-up."""
CPU_WARM_UP_LIMIT_S = 60.0
"""Limit for each of them; a ViT takes less than a second, but a network can need any amount of arithmetic."""
Runner = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_log = logging.getLogger(__name__)


class OnnxRuntimeEngine(Engine):
    """Runs an exported ONNX file with any batch size. Opening warms it up."""

    def __init__(self, spec: ModelSpec, runner: Runner, opened: ProvedSession) -> None:
        """Create an engine; the caller owns the logits that `runner` returns."""
        super().__init__(spec, f"ONNX Runtime {ort.__version__}, {opened.provider}, {spec.precision}")
        self._runner: Runner | None = runner
        self._settings = MappingProxyType(dict(opened.settings))
        self.is_concurrent = opened.device == "cpu"  # a session's `run` is thread-safe; GPU runners share buffers

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        device: Device = "auto",
        threads: int | None = None,
        spinning: bool = False,
        cuda_graph: bool = True,
        max_batch: int = 64,
        content: bytes | None = None,
    ) -> Self:
        """Load `path` and warm it up; see `fer_deploy.engines.open_engine` for the errors.

        Args:
            path: an `.onnx` file with a ModelSpec inside.
            device: where to run; "auto" is CUDA if this build supports it and there is a GPU, else the CPU.
            threads: of the CPU provider, including the calling thread; None: every physical core that this process
                may use. Engines of one process that run at the same time must share them; see `engines.threads`.
            spinning: threads wait for the next call in a busy loop: a fifth less latency on two cores, if nothing else
                needs them.
            cuda_graph: replay a captured graph for each batch bucket; CUDA only.
            max_batch: largest bucket on a GPU (1, 2, 4, ...); larger batches are split.
            content: the file's bytes; None: they are read.

        Raises:
            ConfigError: more threads than cores.
        """
        request = SessionRequest(device, threads, cuda_graph, spinning)
        content = read_model_file(path) if content is None else content
        opened = open_session(path, request, content=content)
        spec = _read_contract(opened.session, path)
        if _is_for_tensorrt(opened.session):
            # On the CPU the optimizer of ONNX Runtime 1.32 changes the results: logits differ by 0.7 and more.
            opened = open_session(path, request._replace(optimized=False), content=content)
            _log.warning(
                "%s is the INT8 graph for TensorRT; on a CPU it is slower than fp32. "
                "Fix: open %s-int8-cpu.onnx instead",
                path,
                spec.name,
            )
        started = time.perf_counter()
        try:
            if opened.device == "cpu":
                runner = _warm_cpu_runner(opened.session, spec, path)
            else:
                runner = BucketRunner(opened.session, spec, buckets_of(1, max_batch))
                runner.warm_up()
        except (*ORT_ERRORS, RuntimeError) as err:
            on_cpu = argument("device", "cpu")
            fix = "Fix: " + ("export it again with fer-deploy export" if opened.device == "cpu" else on_cpu)
            raise EngineError(f"{opened.provider} failed to warm up on {path}: {str(err)[:1000]}. {fix}") from err
        opened.settings["warm_up_ms"] = f"{1e3 * (time.perf_counter() - started):.0f}"
        return cls(spec, runner, opened)

    @property
    def settings(self) -> Mapping[str, str]:
        """Provider, threads and options of the session, for reports."""
        return self._settings

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._runner is None:
            raise EngineError(f"{self.description} is closed. Fix: open it again")
        try:
            return self._runner(images_nchw)
        except (*ORT_ERRORS, RuntimeError) as err:
            raise EngineError(f"ONNX Runtime failed on a batch of {len(images_nchw)}: {err}") from err

    def close(self) -> None:
        """Free the session and its buffers; further calls do nothing."""
        self._runner = None


def _warm_cpu_runner(session: ort.InferenceSession, spec: ModelSpec, path: Path) -> Runner:
    """Run the first batches and return the function that runs a batch.

    Raises:
        EngineError: they take too long, or do not give one finite number for each image and label.
    """

    def run(images_nchw: NDArray[np.uint8], options: ort.RunOptions | None = None) -> NDArray[np.float32]:
        (logits,) = session.run([OUTPUT_NAME], {spec.input.name: images_nchw}, options)
        return np.asarray(logits, dtype=np.float32)

    for size in CPU_WARM_UP:
        images = np.zeros((size, spec.input.channels, spec.input.height, spec.input.width), dtype=np.uint8)
        with _ended_in_time(path, size) as options:
            logits = run(images, options)
        require_logits(logits, size, spec, path)
    return run


@contextmanager
def _ended_in_time(path: Path, size: int) -> Iterator[ort.RunOptions]:
    """Yield the options of a run that ONNX Runtime ends, between two nodes, at its time limit.

    Raises:
        EngineError: the time limit was reached.
    """
    options = ort.RunOptions()
    timer = threading.Timer(CPU_WARM_UP_LIMIT_S, setattr, (options, "terminate", True))
    timer.start()
    try:
        yield options
    except ORT_ERRORS as err:
        if not options.terminate:
            raise
        raise EngineError(
            f"cannot use {path}: a batch of {size} did not end within {CPU_WARM_UP_LIMIT_S:g} s. "
            "Fix: export it again with fer-deploy export"
        ) from err
    finally:
        timer.cancel()
        timer.join()


def require_logits(logits: NDArray[np.float32], size: int, spec: ModelSpec, path: Path) -> None:
    """Raise EngineError unless there is one finite number for each image and label."""
    wanted = (size, len(spec.labels))
    if logits.shape != wanted:
        raise EngineError(
            f"cannot use {path}: a batch of {size} gives logits of shape {logits.shape}, expected {wanted}. "
            "Fix: export it again with fer-deploy export"
        )
    if not np.isfinite(logits).all():
        raise EngineError(
            f"cannot use {path}: logits of a black image are not finite, so some weights are NaN or infinite. "
            "Fix: train or export it again"
        )


def _read_contract(session: ort.InferenceSession, path: Path) -> ModelSpec:
    try:
        metadata = session.get_modelmeta().custom_metadata_map
        inputs = {i.name: (i.type, i.shape[1:]) for i in session.get_inputs()}
        outputs = {o.name: (o.type, o.shape[1:]) for o in session.get_outputs()}
    except UnicodeDecodeError as err:
        raise ArtifactError(f"cannot use {path}: a text in it is not UTF-8 ({err}). Fix: export it again") from err
    if SPEC_KEY not in metadata:
        raise ArtifactError(
            f"cannot use {path}: it has no ModelSpec, so its labels and input are unknown. Fix: fer-deploy export "
            "--checkpoint with its weights, if fer-train made them; a face detector is given as "
            + argument("detector_model")
        )
    spec = spec_from_json(metadata[SPEC_KEY], where=str(path))
    wanted_input = (f"tensor({spec.input.dtype})", [spec.input.channels, spec.input.height, spec.input.width])
    wanted_output = ("tensor(float)", [len(spec.labels)])
    if inputs != {spec.input.name: wanted_input} or outputs != {OUTPUT_NAME: wanted_output}:
        raise ArtifactError(
            f"cannot use {path}: its graph has inputs {str(inputs)[:500]} and outputs {str(outputs)[:500]}, "
            f"its ModelSpec promises {spec.input.name[:200]}: {wanted_input} and {OUTPUT_NAME}: {wanted_output}. "
            "Fix: export it again"
        )
    return spec


def _is_for_tensorrt(session: ort.InferenceSession) -> bool:
    """Return whether a session on the CPU has the INT8 graph for TensorRT."""
    variant = session.get_modelmeta().custom_metadata_map.get(VARIANT_KEY)
    return bool(variant == "int8" and session.get_providers()[0] == "CPUExecutionProvider")
