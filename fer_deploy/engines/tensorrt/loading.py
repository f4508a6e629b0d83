"""Deserialize trusted bytes to a TensorRT engine, and compare it with its contract. Calls no CUDA."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from fer_deploy.engines.tensorrt import runtime_cache
from fer_deploy.engines.tensorrt.admission import AdmittedPlan, import_flavor
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import BatchProfile
from fer_deploy.spec import OUTPUT_NAME, ModelSpec

_MAX_MESSAGES = 32


class CapturedLog:
    """Stores TensorRT's error messages; `logger` is the object for TensorRT. Prints nothing; any thread may write."""

    def __init__(self, trt: Any) -> None:
        messages: deque[str] = deque(maxlen=_MAX_MESSAGES)
        worst = (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR)

        class Logger(trt.ILogger):  # type: ignore[misc]  # the base class depends on the flavor
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                if severity in worst:
                    messages.append(msg)

        self._messages = messages
        self.logger = Logger()

    def take(self) -> str:
        """Return the first error since the last call, which is the cause of those after it."""
        text = self._messages[0] if self._messages else "TensorRT gave no reason"
        self._messages.clear()
        return text[:400]


class LoadedPlan(NamedTuple):
    """A deserialized plan.

    Attributes:
        trt: the flavor's module.
        engine: its engine.
        log: TensorRT's error messages.
        new_context: returns an execution context, or None if that failed.
        keep_kernels: stores kernels compiled on this machine for the next start; returns "" or the reason of a failure.
        description: flavor, version and GPU, as text for users.
    """

    trt: Any
    engine: Any
    log: CapturedLog
    new_context: Callable[[], Any]
    keep_kernels: Callable[[], str]
    description: str


def load(plan: AdmittedPlan, opened: ExitStack, *, is_captured: bool) -> LoadedPlan:
    """Deserialize an admitted plan.

    Args:
        plan: an admitted plan.
        opened: keeps the engine and its runtime alive until it is closed, which must be after all contexts.
        is_captured: whether CUDA graphs of its contexts will be captured.

    Raises:
        MissingDependencyError: the flavor is not installed.
        EngineError: TensorRT cannot load it.
    """
    trt = import_flavor(plan.flavor)
    log = CapturedLog(trt)
    runtime, engine = deserialize(trt, plan.content, log, where=plan.path, allow_host_code=plan.allow_host_code)
    new_context, keep_kernels = _contexts(trt, engine, plan, is_captured)
    opened.callback(_keep, runtime, engine, log, new_context, keep_kernels)
    description = f"{plan.flavor.display_name} {trt.__version__}, {plan.gpu.name}"
    return LoadedPlan(trt, engine, log, new_context, keep_kernels, description)


def _contexts(
    trt: Any, engine: Any, plan: AdmittedPlan, is_captured: bool
) -> tuple[Callable[[], Any], Callable[[], str]]:
    if plan.flavor is Flavor.TENSORRT:
        return engine.create_execution_context, lambda: ""
    path = runtime_cache.cache_file(plan.content, trt.__version__, plan.gpu.name)
    config, cache = runtime_cache.rtx_config(trt, engine, path, is_captured=is_captured)
    return lambda: engine.create_execution_context(config), lambda: runtime_cache.store(cache, path)


def _keep(*_: object) -> None:
    """Keep references to the arguments until the ExitStack runs this callback."""


def deserialize(trt: Any, plan: bytes, log: CapturedLog, *, where: Path, allow_host_code: bool) -> tuple[Any, Any]:
    """Return the runtime and its engine; the runtime must live as long as the engine.

    Args:
        trt: `tensorrt` or `tensorrt_rtx`.
        plan: its bytes, already compared with the manifest.
        log: the runtime's log.
        where: the plan's path, for the error.
        allow_host_code: let a lean runtime inside the plan run on the host.

    Raises:
        EngineError: TensorRT cannot load it.
    """
    log.take()
    runtime = trt.Runtime(log.logger)
    runtime.engine_host_code_allowed = allow_host_code
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(
            f"{trt.__name__} {trt.__version__} cannot load {where}: {log.take()}\n"
            "    Fix: fer-deploy doctor shows driver and GPU; build the plan again on this machine: fer-deploy build"
        )
    return runtime, engine


def read_profile(trt: Any, engine: Any, spec: ModelSpec, *, where: Path) -> BatchProfile:
    """Compare the engine's inputs and outputs with the spec, and return the batch sizes of its first profile.

    Raises:
        ArtifactError: the number, name, type or shape of tensors differs from the spec.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    found = {
        name: (engine.get_tensor_mode(name), engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name))[1:])
        for name in names
    }
    image_shape = (spec.input.channels, spec.input.height, spec.input.width)
    wanted = {
        spec.input.name: (trt.TensorIOMode.INPUT, trt.DataType.UINT8, image_shape),
        OUTPUT_NAME: (trt.TensorIOMode.OUTPUT, trt.DataType.FLOAT, (len(spec.labels),)),
    }
    if found != wanted:
        raise ArtifactError(
            f"cannot use {where}: it has {_words(found)}; its ModelSpec promises {_words(wanted)}. "
            "Fix: build it again with fer-deploy build"
        )
    smallest, usual, largest = (int(shape[0]) for shape in engine.get_tensor_profile_shape(spec.input.name, 0))
    return BatchProfile(min=smallest, opt=usual, max=largest)


def _words(tensors: dict[str, tuple[Any, Any, tuple[int, ...]]]) -> str:
    return ", ".join(
        f"{mode.name.lower()} {name}: {dtype.name.lower()} (N, {', '.join(map(str, shape))})"
        for name, (mode, dtype, shape) in tensors.items()
    )
