"""Network: a model without ModelSpec, such as a face detector: named tensors in, named tensors out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fer_deploy.artifacts import require_file
from fer_deploy.engines.base import Device
from fer_deploy.errors import ArtifactError, MissingDependencyError

Tensors = Mapping[str, NDArray[Any]]
_PLAN_SUFFIXES = (".plan", ".engine")


class TensorInfo(NamedTuple):
    """What a graph says of one of its tensors.

    Attributes:
        dtype: numpy's name, such as "float32"; another runtime's name where numpy has none.
        shape: None for each size that is free.
    """

    dtype: str
    shape: tuple[int | None, ...]


class Network(ABC):
    """A loaded graph. `run` may be called from several threads at once: nothing of a call outlives it."""

    def __init__(
        self, description: str, inputs: Mapping[str, TensorInfo], outputs: Mapping[str, TensorInfo]
    ) -> None:  # fmt: skip
        self.description = description
        self.inputs = inputs
        self.outputs = outputs

    @abstractmethod
    def run(self, tensors: Tensors) -> Tensors:
        """Return all outputs by name, owned by the caller.

        Args:
            tensors: every input by name, with dtype and shape as `inputs` says, C-contiguous.

        Raises:
            EngineError: the runtime refused the tensors or failed.
        """


def open_network(path: Path, *, fix: str, device: Device = "cpu", threads: int = 1) -> Network:
    """Load a graph, after the judgement and with the proof of provider that every engine has.

    Args:
        path: an `.onnx` file.
        fix: what mends a file that is missing or damaged; ends the message.
        device: "cpu", "cuda", or "auto" for CUDA where the runtime offers it, else the CPU.
        threads: of one call on the CPU, the calling one among them.

    Raises:
        ArtifactError: missing or damaged file, or another suffix.
        ConfigError: more threads than cores.
        MissingDependencyError: ONNX Runtime is not installed.
        EngineError: the device is not there, or the runtime fell back to another one.
    """
    if path.suffix in _PLAN_SUFFIXES:
        raise ArtifactError(
            f"cannot open {path}: a plan's manifest describes an emotion model, and there is none for other networks. "
            f"Fix: give the .onnx that the plan was built from; {fix}"
        )
    if path.suffix != ".onnx":
        raise ArtifactError(f"cannot open {path}: expected an .onnx file. Fix: {fix}")
    require_file(path, fix=fix)
    try:
        backend = import_module("fer_deploy.engines.onnxruntime_network")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"cannot open {path}: {err.name} is not installed. Fix: pip install 'fer-toolchain[cpu]'"
        ) from err
    network: Network = backend.OnnxRuntimeNetwork.open(path, device=device, threads=threads, fix=fix)
    return network
