"""open_engine: a model file in, something that runs it out. Backends are loaded by name, only when needed."""

from importlib import import_module
from pathlib import Path

from fer_deploy.artifacts import require_file
from fer_deploy.engines.base import Device, Engine
from fer_deploy.errors import ArtifactError, MissingDependencyError

_BACKENDS = {".onnx": ("fer_deploy.engines.onnxruntime:OnnxRuntimeEngine", "cpu")}
"""Suffix -> ("module:Class", the pip extra that brings what the module imports)."""


def open_engine(path: Path, *, device: Device = "auto") -> Engine:
    """Load a model and prove that it runs where it was asked to.

    Args:
        path: an `.onnx` file written by `fer-deploy export`.
        device: "cpu", "cuda", or "auto" for CUDA where the runtime offers it, else the CPU.

    Raises:
        ArtifactError: missing or damaged file, unknown suffix, or no ModelSpec inside.
        MissingDependencyError: the backend's package is not installed.
        EngineError: the device is not there, or the runtime fell back to another one.
    """
    if path.suffix not in _BACKENDS:
        raise ArtifactError(
            f"cannot open {path}: no engine for the suffix {path.suffix or '(none)'!r}; known: {', '.join(_BACKENDS)}. "
            "Fix: fer-deploy export --checkpoint weights/net.safetensors --out artifacts/net"
        )
    require_file(path, fix="fer-deploy export --checkpoint weights/net.safetensors --out artifacts/net")
    target, extra = _BACKENDS[path.suffix]
    module_name, class_name = target.split(":")
    try:
        backend: type[Engine] = getattr(import_module(module_name), class_name)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"cannot open {path}: {err.name} is not installed. Fix: pip install 'fer-toolchain[{extra}]'"
        ) from err
    return backend.open(path, device=device)


__all__ = ["Device", "Engine", "open_engine"]
