"""Time of every layer of a TensorRT plan, by IProfiler. Written against both flavors' API; never run on a GPU."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.layer_profile import LayerProfile, LayerSample
from fer_deploy.engines.tensorrt.admission import admit, require_cuda
from fer_deploy.engines.tensorrt.loading import load, read_profile
from fer_deploy.engines.tensorrt.runner import PlanRunner
from fer_deploy.errors import ConfigError, EngineError
from fer_deploy.manifest import read_manifest


def profile_plan(path: Path, images_nchw: NDArray[np.uint8], *, warm_up: int = 3, calls: int = 20) -> LayerProfile:
    """Run a batch several times on the GPU and return the time of each layer.

    The plan runs as `TensorRTEngine` runs it, as a CUDA graph; it is captured with the profiler attached, so that the
    graph records the times of its layers, and `report_to_profiler` reads them after each launch.

    Args:
        path: a plan with its manifest.
        images_nchw: (N, channels, height, width) uint8; N within the plan's batch sizes.
        warm_up: calls before, which are left out.
        calls: calls that are kept.

    Raises:
        ArtifactError, MissingDependencyError: as of `open_engine`.
        ConfigError: the plan does not accept the batch.
        EngineError: also if TensorRT reports no times.
    """
    require_cuda(path, "cuda")
    manifest = read_manifest(path)
    plan, batch = admit(path, manifest), len(images_nchw)
    with ExitStack() as opened:
        loaded = load(plan, opened, is_captured=True)
        accepted = read_profile(loaded.trt, loaded.engine, manifest.spec, where=path)
        if not accepted.min <= batch <= accepted.max:
            raise ConfigError(f"batch: {path} accepts {accepted.min} to {accepted.max} images, not {batch}")
        operators = _operators(loaded.trt, loaded.engine)
        profiler = _new_profiler(loaded.trt, operators)
        contexts: list[Any] = []

        def new_context() -> Any:
            context = loaded.new_context()
            if context is not None:
                context.enqueue_emits_profile = False  # else every enqueue would wait and report
                context.profiler = profiler
                contexts.append(context)
            return context

        runner = PlanRunner(plan.cuda, new_context, manifest.spec, (batch,), loaded.log.take)
        opened.callback(runner.close)
        found, times = [], []
        for _ in range(warm_up + calls):
            started = time.perf_counter()
            runner.run(images_nchw)
            times.append(1e3 * (time.perf_counter() - started))
            profiler.samples = []
            if not contexts[0].report_to_profiler() or not profiler.samples:
                raise EngineError(
                    f"TensorRT reported no times of the layers of {path}: {loaded.log.take()}. "
                    "Fix: update TensorRT, or use trtexec --dumpProfile"
                )
            found.append(profiler.samples)
        return LayerProfile(loaded.description, found[warm_up:], times[warm_up:])


def _new_profiler(trt: Any, operators: dict[str, str]) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[misc]  # the base class depends on the flavor
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.samples: list[LayerSample] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.samples.append(LayerSample(layer_name, operators.get(layer_name, ""), ms))

    return Profiler()


def _operators(trt: Any, engine: Any) -> dict[str, str]:
    """Return the type of each layer by name, as the inspector tells it for plans of `fer-deploy build`; else none."""
    text = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    entries = json.loads(text).get("Layers", ())
    return {entry["Name"]: str(entry.get("LayerType", "")) for entry in entries if isinstance(entry, dict)}
