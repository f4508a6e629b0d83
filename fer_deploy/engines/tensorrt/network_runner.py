"""NetworkRunner: run a deserialized plan with named tensors whose shapes change from call to call.

It has one stream, one execution context, and fixed buffers for the largest shapes. It uses no CUDA graph, which would
fix one shape and its addresses; layers are enqueued one by one. All CUDA calls go through `Cuda`.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.network import Tensors
from fer_deploy.engines.tensorrt.cuda import Cuda, array_at
from fer_deploy.errors import EngineError
from fer_deploy.manifest import InputContract, NetworkContract, shape_text

_REBUILD = "build the plan again with fer-deploy build"


class _Buffer:
    """GPU memory and pinned host memory for a tensor up to a size."""

    def __init__(self, cuda: Cuda, opened: ExitStack, dtype: str, num_bytes: int) -> None:
        self.dtype, self.num_bytes = np.dtype(dtype), num_bytes
        allocated = max(1, num_bytes)
        self.device = cuda.new_device_memory(allocated)
        opened.callback(cuda.free_device_memory, self.device)
        self.host = cuda.new_pinned_memory(allocated)
        opened.callback(cuda.free_pinned_memory, self.host)
        self._bytes = array_at(self.host, (allocated,), np.uint8)

    def size_of(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of a tensor of this shape."""
        return math.prod(shape) * self.dtype.itemsize

    def array(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the pinned memory as a tensor of this shape."""
        return self._bytes[: self.size_of(shape)].view(self.dtype).reshape(shape)


class NetworkRunner:
    """GPU resources of one plan. Use it from one thread at a time."""

    def __init__(self, cuda: Cuda, context: Any, contract: NetworkContract, why: Callable[[], str]) -> None:
        """Allocate buffers for the largest shapes and run the optimal ones once, since first runs load kernels.

        Args:
            cuda: with its device current.
            context: an execution context of the engine, or None if TensorRT gave none.
            contract: of the tensors.
            why: returns TensorRT's last error message.

        Raises:
            EngineError: out of memory, or TensorRT refused.
        """
        if context is None:
            raise EngineError(f"TensorRT gave no execution context: {why()}\n    Fix: free memory on the GPU")
        self._cuda, self._context, self._contract, self._why = cuda, context, contract, why
        self._buffers: dict[str, _Buffer] = {}
        self._open = ExitStack()
        with ExitStack() as undo:  # a failure frees what was allocated
            undo.callback(self.close)
            self._allocate()
            self.run({name: np.zeros(wanted.opt, dtype=wanted.dtype) for name, wanted in contract.inputs.items()})
            undo.pop_all()

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """Return all outputs by name, owned by the caller.

        Raises:
            EngineError: the plan does not accept the tensors, or CUDA or TensorRT failed.
        """
        self._check(tensors)
        outputs = self._set_shapes({name: tensor.shape for name, tensor in tensors.items()})
        for name, tensor in tensors.items():
            buffer = self._buffers[name]
            np.copyto(buffer.array(tensor.shape), tensor)
            self._cuda.upload(buffer.device, buffer.host, buffer.size_of(tensor.shape), self._stream)
        self._require(self._context.execute_async_v3(int(self._stream)), "to run the network")
        for name, shape in outputs.items():
            buffer = self._buffers[name]
            self._cuda.download(buffer.host, buffer.device, buffer.size_of(shape), self._stream)
        self._cuda.wait(self._stream)
        return {name: self._buffers[name].array(shape).copy() for name, shape in outputs.items()}

    def close(self) -> None:
        """Wait for the GPU, then free context, memory and stream, in this order; further calls do nothing."""
        with suppress(EngineError):  # after a failed call, which has raised, CUDA also refuses to free
            self._open.close()

    def _allocate(self) -> None:
        cuda, contract = self._cuda, self._contract
        self._stream = cuda.new_stream()
        self._open.callback(cuda.free_stream, self._stream)
        for name, wanted in contract.inputs.items():
            self._add_buffer(name, wanted.dtype, wanted.max)
        for name, shape in self._set_shapes({name: wanted.max for name, wanted in contract.inputs.items()}).items():
            self._add_buffer(name, contract.outputs[name].dtype, shape)
        self._open.callback(self._let_go)

    def _add_buffer(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        buffer = _Buffer(self._cuda, self._open, dtype, math.prod(shape) * np.dtype(dtype).itemsize)
        self._require(self._context.set_tensor_address(name, buffer.device), f"the address of {name}")
        self._buffers[name] = buffer

    def _let_go(self) -> None:
        """Free the context after the stream is done; context and memory must not be freed while they are used."""
        try:
            self._cuda.wait(self._stream)
        finally:
            self._context = None

    def _check(self, tensors: Tensors) -> None:
        """Compare tensors with the contract; see `Network.run`."""
        for name in tensors.keys() ^ self._contract.inputs.keys():
            raise EngineError(
                f"the network needs {', '.join(self._contract.inputs)}, got {', '.join(tensors) or 'nothing'}; "
                f"{name} is not in both. Fix: give every input by its name"
            )
        for name, wanted in self._contract.inputs.items():
            if tensors[name].dtype != wanted.dtype or not _lies_within(tensors[name].shape, wanted):
                raise EngineError(
                    f"{name} is {tensors[name].dtype} {shape_text(tensors[name].shape)}, the plan needs {wanted.dtype} "
                    f"{shape_text(wanted.min)} to {shape_text(wanted.max)}. Fix: keep within, or build the plan with "
                    "wider --input-shapes"
                )

    def _set_shapes(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Set the shapes of the inputs in the context and return those of the outputs."""
        for name, shape in shapes.items():
            self._require(self._context.set_input_shape(name, shape), f"{name} of {shape_text(shape)}")
        outputs = {name: tuple(self._context.get_tensor_shape(name)) for name in self._contract.outputs}
        for name, shape in outputs.items():
            buffer = self._buffers.get(name)
            if min(shape, default=0) < 0 or (buffer is not None and buffer.size_of(shape) > buffer.num_bytes):
                raise EngineError(
                    f"TensorRT gives the output {name} the shape {shape}, which does not follow from the inputs or is "
                    f"more than the largest ones give: {self._why()}\n    Fix: run the .onnx as it is"
                )
        return outputs

    def _require(self, accepted: bool, what: str) -> None:
        if not accepted:
            raise EngineError(f"TensorRT refused {what}: {self._why()}\n    Fix: {_REBUILD}")


def _lies_within(shape: tuple[int, ...], wanted: InputContract) -> bool:
    return len(shape) == len(wanted.min) and all(
        low <= size <= high for low, size, high in zip(wanted.min, shape, wanted.max, strict=True)
    )
