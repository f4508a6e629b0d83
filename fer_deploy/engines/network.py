"""Network: the interface of a model without ModelSpec, such as a face detector, with named input and output tensors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fer_deploy.artifacts import file_sha256, require_file
from fer_deploy.engines import PLAN_SUFFIXES
from fer_deploy.engines.base import Device
from fer_deploy.engines.triton.address import is_triton
from fer_deploy.errors import ArtifactError, MissingDependencyError

Tensors = Mapping[str, NDArray[Any]]


class TensorInfo(NamedTuple):
    """Type and shape of a graph's tensor.

    Attributes:
        dtype: numpy's name, such as "float32"; the runtime's name if numpy has none.
        shape: None for each variable size.
        smallest, largest: limits of an input's shape; None: any that `shape` allows.
    """

    dtype: str
    shape: tuple[int | None, ...]
    smallest: tuple[int, ...] | None = None
    largest: tuple[int, ...] | None = None


class Network(ABC):
    """A loaded graph. `run` may be called from several threads at once: calls share no state."""

    def __init__(self, description: str, inputs: Mapping[str, TensorInfo], outputs: Mapping[str, TensorInfo]) -> None:
        self.description = description
        self.inputs = inputs
        self.outputs = outputs

    @abstractmethod
    def run(self, tensors: Tensors) -> Tensors:
        """Return all outputs by name, owned by the caller.

        Args:
            tensors: every input by name, with the dtype and shape of `inputs`, C-contiguous.

        Raises:
            EngineError: the runtime refused the tensors or failed.
        """


def open_network(
    path: Path, *, fix: str, device: Device = "cpu", threads: int = 1, rewrite: Callable[[bytes], bytes] | None = None
) -> Network:
    """Load a network with the same checks of file and provider as an engine.

    Args:
        path: an `.onnx` file, or a TensorRT `.plan` (also `.engine`) from `fer-deploy build --input-shapes`, with its
            manifest beside it; or `triton://HOST:8001/MODEL[/VERSION]`, whose server chooses device and threads.
        fix: how to fix a file that is missing or damaged; ends the message.
        device: "cpu", "cuda", or "auto": CUDA if the runtime supports it and there is a GPU, else the CPU. A plan runs
            only on CUDA.
        threads: of one call on the CPU, including the calling thread. A plan computes nothing on the CPU.
        rewrite: converts an `.onnx` file's bytes before loading; plans are not converted.

    Raises:
        ArtifactError: missing or damaged file, another suffix, or a plan that differs from its manifest.
        ConfigError: more threads than cores.
        MissingDependencyError: ONNX Runtime, or TensorRT and cuda-python for a plan, are not installed.
        EngineError: the device is missing, the runtime fell back to another one, a plan cannot run on this machine, or
            a server does not answer.
    """
    if is_triton(path):
        served: Network = _backend(path, "triton.network", "triton").TritonNetwork.open(path)
        return served
    if path.suffix != ".onnx" and path.suffix not in PLAN_SUFFIXES:
        raise ArtifactError(f"cannot open {path}: expected an .onnx or .plan file. Fix: {fix}")
    require_file(path, fix=fix)
    network: Network
    if path.suffix in PLAN_SUFFIXES:
        network = _backend(path, "tensorrt.network", "tensorrt").TensorRTNetwork.open(path, device=device)
    else:
        backend = _backend(path, "onnxruntime.network", "cpu")
        network = backend.OnnxRuntimeNetwork.open(path, device=device, threads=threads, fix=fix, rewrite=rewrite)
    return network


def network_sha256(path: Path) -> str:
    """Return the hex digest of a network's file; of a served one that of the file that its server has.

    Raises:
        ConfigError, EngineError, MissingDependencyError: as `open_network`, for a served network.
    """
    if not is_triton(path):
        return file_sha256(path)
    digest: str = _backend(path, "triton.network", "triton").served_sha256(path)
    return digest


def _backend(path: Path, name: str, extra: str) -> Any:
    try:
        return import_module(f"fer_deploy.engines.{name}")
    except (ModuleNotFoundError, RuntimeError) as err:  # tritonclient turns a missing grpc into a RuntimeError
        missing = getattr(err.__cause__ or err, "name", None)
        if missing is None:
            raise
        raise MissingDependencyError(
            f"cannot open {path}: {missing} is not installed. Fix: pip install 'fer-toolchain[{extra}]'"
        ) from err
