"""OpenVINO engine for the CPU. ONNX Runtime checks the file first, so that both refuse the same files."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from fer_deploy.artifacts import read_model_file
from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.onnxruntime.engine import CPU_WARM_UP, CPU_WARM_UP_LIMIT_S, OnnxRuntimeEngine, require_logits
from fer_deploy.engines.openvino.precision import computed_precisions, precision_text
from fer_deploy.engines.openvino.runtime import openvino
from fer_deploy.engines.threads import available_cores, choose_threads
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, argument
from fer_deploy.spec import ModelSpec

_VERSION: Final = openvino.__version__.partition("-")[0]
_FIX: Final = f"Fix: {argument('device', 'cpu')} runs it in ONNX Runtime"


class OpenVinoEngine(Engine):
    """Runs an exported ONNX file with any batch size on the CPU. Opening warms it up.

    The batch is a variable size of one compiled model. On the CPU that was measured this is as fast as one model for
    each batch size, and needs neither padding nor several copies of the weights.
    """

    is_concurrent = True

    def __init__(self, spec: ModelSpec, compiled: Any, settings: Mapping[str, str]) -> None:
        """Create an engine of an `openvino.CompiledModel`."""
        found = computed_precisions(compiled)
        super().__init__(spec, f"OpenVINO {_VERSION}, CPU, {precision_text(spec.precision, found)}")
        self._compiled: Any | None = compiled
        self._idle: list[Any] = []  # requests that no thread uses
        products = ", ".join(f"{num} in {name}" for name, num in found.most_common())
        self._settings = dict(settings) | {"products": products}

    @classmethod
    def open(cls, path: Path, *, device: Device = "openvino", threads: int | None = None, bf16: bool = False) -> Self:
        """Check `path` in ONNX Runtime, load the checked bytes in OpenVINO, and warm it up.

        Args:
            path: an `.onnx` file with a ModelSpec inside.
            device: "openvino".
            threads: of one call; None: every physical core that this process may use. As many calls run at the same
                time as the cores allow.
            bf16: compute in bfloat16, which has 8 bits where FP16 has 11. A choice of its own, since logits change.

        Raises:
            ArtifactError, ConfigError, EngineError: as the engine of ONNX Runtime on the CPU; or OpenVINO cannot
                compile the graph, or this CPU has no bfloat16.
        """
        if device != "openvino":
            raise ConfigError(f"OpenVINO was asked to run on {device}. Fix: device openvino")
        threads = choose_threads(threads)
        content = read_model_file(path)
        with OnnxRuntimeEngine.open(path, device="cpu", threads=threads, content=content) as checked:
            spec = checked.spec
        started = time.perf_counter()
        options = _options(threads, bf16=bf16)
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(content), "CPU", options)
        except RuntimeError as err:
            raise ArtifactError(f"OpenVINO {_VERSION} cannot compile {path}: {_first_line(err)}. {_FIX}") from err
        settings = {"openvino": _VERSION, **{name.lower(): str(value) for name, value in options.items()}}
        engine = cls(spec, compiled, settings)
        engine._warm_up(path)
        engine._settings["load_ms"] = f"{1e3 * (time.perf_counter() - started):.0f}"
        return engine

    @property
    def settings(self) -> Mapping[str, str]:
        """Version, options, and the format of the arithmetic, for reports."""
        return MappingProxyType(self._settings)

    def _warm_up(self, path: Path) -> None:
        """Run the first batches and check their logits, in the time that ONNX Runtime has for them."""
        for size in CPU_WARM_UP:
            images = np.zeros((size, self.spec.input.channels, self.spec.input.height, self.spec.input.width), np.uint8)
            request = self._request()
            request.start_async([images], share_inputs=True)
            if not request.wait_for(int(1e3 * CPU_WARM_UP_LIMIT_S)):
                request.cancel()
                raise EngineError(
                    f"cannot use {path}: a batch of {size} did not end within {CPU_WARM_UP_LIMIT_S:g} s. {_FIX}"
                )
            logits = np.array(request.get_output_tensor(0).data, dtype=np.float32)
            self._idle.append(request)
            require_logits(logits, size, self.spec, path)

    def _request(self) -> Any:
        """Return a request that no other thread uses."""
        compiled = self._compiled
        if compiled is None:
            raise EngineError(f"{self.description} is closed. Fix: open it again")
        try:
            return self._idle.pop()
        except IndexError:
            return compiled.create_infer_request()

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = self._request()
        try:
            request.infer([images_nchw], share_inputs=True)
            logits = np.array(request.get_output_tensor(0).data, dtype=np.float32)
        except RuntimeError as err:
            raise EngineError(f"OpenVINO failed on a batch of {len(images_nchw)}: {_first_line(err)}") from err
        self._idle.append(request)
        return logits

    def close(self) -> None:
        """Free the compiled model and its buffers; further calls do nothing."""
        self._compiled = None
        self._idle.clear()


def _options(threads: int, *, bf16: bool) -> dict[str, Any]:
    """Return the properties of a compiled model.

    Raises:
        EngineError: bfloat16 was requested, and this CPU has none.
    """
    if bf16 and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise EngineError("this CPU has no bfloat16 (avx512_bf16 or AMX). Fix: leave bf16 out")
    num_streams = max(1, available_cores() // threads)
    return {
        "NUM_STREAMS": num_streams,
        "INFERENCE_NUM_THREADS": num_streams * threads,
        # By default OpenVINO computes in bfloat16 where the CPU has it.
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "ENABLE_CPU_PINNING": False,  # pinned threads would wait for a core that the detector uses
    }


def _first_line(err: Exception) -> str:
    """Return the part of OpenVINO's message that names the cause: its last line with text."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return lines[-1][:500] if lines else type(err).__name__
