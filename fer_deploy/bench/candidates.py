"""Candidates: every artifact with every engine and setting that may run it on this machine."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

from fer_deploy.bench.folder import INT8_FOR_TENSORRT, PLAN, Artifact, Skipped
from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Device, Engine
from fer_deploy.environment import Environment


@dataclass(frozen=True)
class Runtime:
    """One way to run artifacts; the table `RUNTIMES` lists all of them.

    Attributes:
        name: for people.
        device: of `open_engine`.
        module: imported before the first engine, to tell its time from the model's.
        has_threads: whether calls compute on the CPU, with as many threads as they are given.
        spins: whether its threads can wait in a busy loop.
        why_not_here: why it cannot run on a machine; None: it can.
        why_not_for: why it cannot or should not run an artifact; None: it can.
    """

    name: str
    device: Device
    module: str
    has_threads: bool
    spins: bool
    why_not_here: Callable[[Environment], str | None]
    why_not_for: Callable[[Artifact], str | None]


def _no_onnxruntime(environment: Environment) -> str | None:
    if "CPUExecutionProvider" in environment.onnxruntime_providers:
        return None
    return "ONNX Runtime is not installed. Fix: pip install 'fer-toolchain[cpu]'"


def _no_cuda(environment: Environment) -> str | None:
    if not environment.host.gpus:
        return "no NVIDIA GPU"
    if "CUDAExecutionProvider" not in environment.onnxruntime_providers:
        return "this ONNX Runtime has no CUDA. Fix: pip uninstall onnxruntime; pip install 'fer-toolchain[gpu]'"
    return None


def _no_tensorrt(environment: Environment) -> str | None:
    if not environment.host.gpus:
        return "no NVIDIA GPU"
    if not environment.host.tensorrt:
        return "TensorRT is not installed. Fix: pip install 'fer-toolchain[tensorrt]'"
    return None


def _not_on_cpu(artifact: Artifact) -> str | None:
    if artifact.kind == PLAN:
        return "a plan runs on an NVIDIA GPU only"
    if artifact.kind == INT8_FOR_TENSORRT:
        return "it is the INT8 graph for TensorRT, slower than fp32 on a CPU; int8-cpu is the one for CPUs"
    return None


def _not_on_cuda(artifact: Artifact) -> str | None:
    if artifact.kind == PLAN:
        return "a plan runs with TensorRT only"
    if artifact.kind not in ("fp32", "fp16"):
        return "ONNX Runtime has no CUDA kernels for INT8"
    return None


def _not_a_plan(artifact: Artifact) -> str | None:
    return None if artifact.kind == PLAN else "TensorRT runs plans only; fer-deploy build makes them"


RUNTIMES: Final[dict[str, Runtime]] = {
    "onnxruntime-cpu": Runtime(
        "ONNX Runtime", "cpu", "fer_deploy.engines.onnxruntime.engine", True, True, _no_onnxruntime, _not_on_cpu
    ),
    "onnxruntime-cuda": Runtime(
        "ONNX Runtime CUDA", "cuda", "fer_deploy.engines.onnxruntime.engine", False, False, _no_cuda, _not_on_cuda
    ),
    "tensorrt": Runtime(
        "TensorRT", "cuda", "fer_deploy.engines.tensorrt.engine", False, False, _no_tensorrt, _not_a_plan
    ),
}
"""By name, the simplest first. An engine of another kind is added here, with a device that `open_engine` knows."""


@dataclass(frozen=True)
class Candidate:
    """An artifact with an engine and its settings; `runtime` is a key of `RUNTIMES`."""

    path: Path
    runtime: str
    threads: int | None
    spinning: bool

    @property
    def device(self) -> Device:
        """For `open_engine`."""
        return RUNTIMES[self.runtime].device

    @property
    def engine_text(self) -> str:
        """Runtime and settings, such as "ONNX Runtime, 2 threads, spinning"."""
        threads = "" if self.threads is None else f", {self.threads} thread{'s'[: self.threads > 1]}"
        return f"{RUNTIMES[self.runtime].name}{threads}{', spinning' if self.spinning else ''}"

    @property
    def name(self) -> str:
        """File and engine."""
        return f"{self.path.name}, {self.engine_text}"

    def load_runtime(self) -> None:
        """Import what the engine needs. A package that is not installed is an error of `open`, which says how."""
        with suppress(ImportError):
            import_module(RUNTIMES[self.runtime].module)

    def open(self) -> Engine:
        """Open the engine; errors as `open_engine`."""
        return open_engine(self.path, device=self.device, threads=self.threads, spinning=self.spinning)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, from which `of_dict` makes the same candidate."""
        return asdict(self) | {"path": str(self.path)}

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the candidate of `to_dict`."""
        return cls(**{**values, "path": Path(values["path"])})


def candidates_of(
    artifacts: Sequence[Artifact],
    environment: Environment,
    *,
    cores: int,
    device: Device = "auto",
) -> tuple[list[Candidate], list[Skipped]]:
    """Return what to measure, and what this machine lacks.

    Args:
        artifacts: of one model.
        environment: of this machine.
        cores: the most threads of one call.
        device: the only device to try; "auto": every one.
    """
    found: list[Candidate] = []
    skipped: list[Skipped] = []
    for key, runtime in RUNTIMES.items():
        if device not in ("auto", runtime.device):
            continue
        reason = runtime.why_not_here(environment)
        if reason is not None:
            skipped.append(Skipped(runtime.name, reason))
            continue
        for artifact in artifacts:
            reason = runtime.why_not_for(artifact)
            if reason is None:
                found += [
                    Candidate(artifact.path, key, number, spinning)
                    for number in (thread_counts(cores) if runtime.has_threads else [None])
                    for spinning in ([False, True] if runtime.spins and (number or 1) > 1 else [False])
                ]
    tried = {candidate.path for candidate in found}
    skipped += [
        Skipped(one.path.name, _why_untried(one, environment, device)) for one in artifacts if one.path not in tried
    ]
    return found, skipped


def _why_untried(artifact: Artifact, environment: Environment, device: Device) -> str:
    """Return why no runtime tries an artifact: what the fitting one lacks here, or why none fits."""
    asked = [one for one in RUNTIMES.values() if device in ("auto", one.device)]
    fitting = [one for one in asked if one.why_not_for(artifact) is None]
    if fitting:
        return f"{fitting[0].name} cannot run here: {fitting[0].why_not_here(environment)}"
    return next(filter(None, (one.why_not_for(artifact) for one in asked)), f"no engine has the device {device}")


def thread_counts(cores: int) -> list[int]:
    """Return the numbers of threads to try: powers of two up to the cores, and the cores."""
    powers = [2**exponent for exponent in range(cores.bit_length()) if 2**exponent <= cores]
    return sorted({*powers, cores})
