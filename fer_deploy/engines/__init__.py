"""open_engine: load a model file as an Engine. Backends are imported by name, only when needed."""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_deploy.artifacts import Family, file_sha256, require_file
from fer_deploy.engines.base import Device, Engine, require_device
from fer_deploy.engines.foreign_file import fix_for_missing, require_own_file
from fer_deploy.engines.triton.address import is_triton
from fer_deploy.errors import ArtifactError, ConfigError, MissingDependencyError, argument

if TYPE_CHECKING:
    from fer_deploy.engines.best import Chosen

_BACKENDS = {
    ".onnx": ("fer_deploy.engines.onnxruntime.engine:OnnxRuntimeEngine", "cpu"),
    ".plan": ("fer_deploy.engines.tensorrt.engine:TensorRTEngine", "tensorrt"),
    ".engine": ("fer_deploy.engines.tensorrt.engine:TensorRTEngine", "tensorrt"),
}
"""("module:Class", pip extra with the packages that the module imports) by suffix."""
_OPENVINO = ("fer_deploy.engines.openvino.engine:OpenVinoEngine", "openvino")
"""The same for an .onnx on the device "openvino"."""
_TRITON = ("fer_deploy.engines.triton.engine:TritonEngine", "triton")
"""The same for an address."""


PLAN_SUFFIXES = (".plan", ".engine")


def _path_of(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"the engine is {type(path).__name__}, expected the path of a model. Fix: open_engine(PATH)")
    if path == "":
        raise ConfigError("the engine's path is empty. Fix: the path of a model, or None for the bundled one")
    return Path(path)


def open_engine(
    path: str | Path | None = None,
    *,
    device: Device = "auto",
    threads: int | None = None,
    spinning: bool = False,
    trust_plan: bool = False,
    allow_host_code: bool = False,
) -> Engine:
    """Load a model and verify that it runs on the requested device.

    Args:
        path: an `.onnx` file written by `fer-deploy export`, or a TensorRT `.plan` (also `.engine`) written by
            `fer-deploy build` with its manifest beside it; or a folder that `fer-deploy bench` measured, whose best
            model for this machine is taken with its settings; or `triton://HOST:8001/MODEL[/VERSION]`, a model on a
            Triton Inference Server, whose repository `fer-deploy triton` wrote. None: the bundled model.
        device: "cpu", "cuda", or "auto": CUDA if the runtime supports it and there is a GPU, else the CPU. A plan runs
            only on CUDA. "openvino": an .onnx in OpenVINO on the CPU.
        threads: of one call on the CPU; None: every core. A plan computes nothing on the CPU.
        spinning: threads of ONNX Runtime wait for the next call in a busy loop: less latency if nothing else needs the
            cores. A folder's best model brings its own choice.
        trust_plan: load a plan without comparing it with its manifest's SHA-256, or without a manifest if the ONNX of
            the same name is beside it. A plan is executable code.
        allow_host_code: let a plan with a lean runtime run this code on the host.

    Raises:
        ConfigError: `path` is empty or no path; no such device; `threads` is not a whole number from 1 to the number of
            cores; nothing in a folder was measured on this device, or with so many threads; or `trust_plan` or
            `allow_host_code` for a file that is not a plan; the user probably named the wrong file.
        ArtifactError: missing or damaged file, unknown suffix, no ModelSpec inside, or a plan that differs from its
            manifest.
        MissingDependencyError: the backend's package is not installed.
        EngineError: the device is missing, the runtime fell back to another one, a plan cannot run on this machine, or
            a server does not answer.
    """
    require_device(device)
    path = bundled_model_for(device) if path is None else _path_of(path)
    if is_folder_of_models(path):
        choose = _load("fer_deploy.engines.best:choose_best", "cpu", what=f"open {path}")
        chosen: Chosen = choose(path, device=device, threads=threads)
        path, device, threads, spinning = chosen.path, chosen.device, chosen.threads, chosen.spinning
    permissions = {"trust_plan": trust_plan, "allow_host_code": allow_host_code}
    given = [argument(name) for name, is_given in permissions.items() if is_given]
    if given and path.suffix not in PLAN_SUFFIXES:
        raise ConfigError(f"{' and '.join(given)} is for TensorRT plans, and {path} is not one. Fix: leave it out")
    if is_triton(path):
        served: Engine = _load(*_TRITON, what=f"use {path}").open(path, device=device)
        return served
    require_file(path, fix=fix_for_missing(path))
    require_own_file(path)
    if path.suffix not in _BACKENDS:
        raise ArtifactError(
            f"cannot open {path}: no engine for the suffix {path.suffix or '(none)'!r}; known: {', '.join(_BACKENDS)}. "
            f"Fix: rename {path.name} if it is one of these; otherwise export its checkpoint"
        )
    is_openvino = device == "openvino" and path.suffix == ".onnx"
    target, extra = _OPENVINO if is_openvino else _BACKENDS[path.suffix]
    backend = _load(target, extra, what=f"open {path}")
    on_cpu = {"threads": threads} if is_openvino else {"threads": threads, "spinning": spinning}
    options = permissions if path.suffix in PLAN_SUFFIXES else on_cpu
    engine: Engine = backend.open(path, device=device, **options)
    return engine


def model_sha256(path: Path) -> str:
    """Return the hex digest of a model file; of a served model that of the file that its server has.

    Raises:
        ArtifactError, EngineError: as `open_engine`, for a served model.
    """
    if not is_triton(path):
        return file_sha256(path)
    with open_engine(path) as served:
        return served.settings["model_sha256"] or str(path)  # a repository that others wrote may have no digest


def is_folder_of_models(path: Path) -> bool:
    """Return whether a path is a folder whose best model is to be chosen; one with a model's name is a mistake."""
    return path.is_dir() and path.suffix not in _BACKENDS


def bundled_model_for(device: Device, family: Family = "ferplus") -> Path:
    """Return the path of the family's fastest bundled model for a device: INT8 on a CPU with integer products.

    Raises:
        ArtifactError: the file is missing from the installation.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    choose = _load("fer_deploy.engines.bundled:bundled_model_for", "cpu", what="choose the bundled model")
    path: Path = choose(device, family)
    return path


def _load(target: str, extra: str, *, what: str) -> Any:
    module_name, name = target.split(":")
    try:
        return getattr(import_module(module_name), name)
    except (ModuleNotFoundError, RuntimeError) as err:  # tritonclient turns a missing grpc into a RuntimeError
        missing = getattr(err.__cause__ or err, "name", None)
        if missing is None:
            raise
        extra = "cpu" if missing == "onnxruntime" else extra  # it checks files for the other runtimes, too
        raise MissingDependencyError(
            f"cannot {what}: {missing} is not installed. Fix: pip install 'fer-toolchain[{extra}]'"
        ) from err


__all__ = ["PLAN_SUFFIXES", "Device", "Engine", "bundled_model_for", "model_sha256", "open_engine"]
