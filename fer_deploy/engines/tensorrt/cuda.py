"""Cuda: the CUDA runtime calls that a plan needs; a failed status raises EngineError.

Everything runs on device 0; CUDA_VISIBLE_DEVICES chooses its GPU.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from cuda.bindings import runtime as cuda_runtime
from numpy.typing import NDArray

from fer_deploy.environment import Gpu
from fer_deploy.errors import EngineError

Number = TypeVar("Number", np.uint8, np.float32)
_NO_GPU = (
    "install an NVIDIA driver that is new enough, or give an .onnx in the plan's place (fer-deploy doctor says more)"
)
_ADVICE = {
    "cudaErrorInsufficientDriver": _NO_GPU,
    "cudaErrorNoDevice": _NO_GPU,
    "cudaErrorInitializationError": _NO_GPU,
    "cudaErrorMemoryAllocation": "free memory on the GPU (nvidia-smi lists who holds it)",
}
_OTHERWISE = "start again; if it comes back, report it with the output of fer-deploy doctor --json"


class Cuda:
    """Device 0. The caller owns memory, streams and graphs, and frees each of them once.

    May be used from any thread, but a capture must end in the thread that began it.
    """

    def __init__(self, runtime: Any = cuda_runtime) -> None:
        """Create it; `runtime` is `cuda.bindings.runtime`, or a replacement in a test."""
        self._runtime = runtime

    def gpu(self) -> Gpu:
        """Make device 0 the current one and describe it; the first call starts CUDA.

        Raises:
            EngineError: no driver, one that is too old, or no GPU.
        """
        self._call("cudaSetDevice", 0)
        properties = self._call("cudaGetDeviceProperties", 0)
        name = properties.name.decode(errors="replace")
        return Gpu(name, f"{properties.major}.{properties.minor}", int(properties.totalGlobalMem))

    def new_stream(self) -> Any:
        """Return a stream that does not wait for the default stream; `int(stream)` is its handle."""
        return self._call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)

    def free_stream(self, stream: Any) -> None:
        """Destroy a stream."""
        self._call("cudaStreamDestroy", stream)

    def new_device_memory(self, num_bytes: int) -> int:
        """Return the address of new memory on the GPU."""
        return int(self._call("cudaMalloc", num_bytes))

    def free_device_memory(self, address: int) -> None:
        """Free memory from `new_device_memory`."""
        self._call("cudaFree", address)

    def new_pinned_memory(self, num_bytes: int) -> int:
        """Return the address of new page-locked host memory, which is copied without staging."""
        return int(self._call("cudaHostAlloc", num_bytes, self._runtime.cudaHostAllocDefault))

    def free_pinned_memory(self, address: int) -> None:
        """Free memory from `new_pinned_memory`."""
        self._call("cudaFreeHost", address)

    def upload(self, device: int, host: int, num_bytes: int, stream: Any) -> None:
        """Copy from pinned to GPU memory, in the order of the stream."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host, num_bytes, kind, stream)

    def download(self, host: int, device: int, num_bytes: int, stream: Any) -> None:
        """Copy from GPU to pinned memory, in the order of the stream."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host, device, num_bytes, kind, stream)

    def fill(self, device: int, byte: int, num_bytes: int, stream: Any) -> None:
        """Set GPU memory to one byte, in the order of the stream."""
        self._call("cudaMemsetAsync", device, byte, num_bytes, stream)

    def wait(self, stream: Any) -> None:
        """Block until the stream is done; failures of earlier asynchronous work are raised here."""
        self._call("cudaStreamSynchronize", stream)

    def capture(self, stream: Any, enqueue: Callable[[], None]) -> Any:
        """Record the work that `enqueue` puts on the stream, without running it, and return a graph to launch.

        The capture is thread-local, so other threads can use CUDA meanwhile; with a global capture their calls would
        fail (roboflow/inference#2866).
        """
        self._call(
            "cudaStreamBeginCapture", stream, self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        )
        try:
            enqueue()
        except BaseException:
            with suppress(EngineError):  # end the capture, so that the stream stays usable; raise the first error
                self._call("cudaGraphDestroy", self._call("cudaStreamEndCapture", stream))
            raise
        graph = self._call("cudaStreamEndCapture", stream)
        try:
            return self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: Any, stream: Any) -> None:
        """Run a captured graph, in the order of the stream."""
        self._call("cudaGraphLaunch", graph, stream)

    def free_graph(self, graph: Any) -> None:
        """Destroy a graph from `capture`."""
        self._call("cudaGraphExecDestroy", graph)

    def _call(self, name: str, *args: Any) -> Any:
        """Return the value of a call, or None; raises EngineError if its status is not success."""
        status, *values = getattr(self._runtime, name)(*args)
        if int(status) == 0:
            return values[0] if values else None
        _, text = self._runtime.cudaGetErrorString(status)
        meaning = text.decode(errors="replace") if text else "unknown"
        raise EngineError(f"{name} failed: {status.name} ({meaning}).\n    Fix: {_ADVICE.get(status.name, _OTHERWISE)}")


def array_at(address: int, shape: tuple[int, ...], dtype: type[Number]) -> NDArray[Number]:
    """Return host memory as an array that does not own it; do not use it after the memory is freed."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = memoryview((ctypes.c_uint8 * size).from_address(address))
    return np.frombuffer(memory, dtype=dtype).reshape(shape)
