"""PlanRunner: run a deserialized plan with one stream, fixed buffers, and a CUDA graph for each batch bucket.

Upload, network and download are one graph, so a batch costs one launch and one wait. All CUDA calls go through `Cuda`;
of TensorRT only methods that both flavors have are used.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.buckets import cut
from fer_deploy.engines.tensorrt.cuda import Cuda, array_at
from fer_deploy.errors import EngineError
from fer_deploy.spec import OUTPUT_NAME, ModelSpec

_NAN_BYTE = 0xFF  # four of them are a NaN


class PlanRunner:
    """GPU resources of one plan. Use it from one thread at a time.

    Each bucket has its own execution context: a context shared by several graphs may move its memory, but graphs replay
    addresses (roboflow/inference, trt.py).
    """

    def __init__(
        self,
        cuda: Cuda,
        new_context: Callable[[], Any],
        spec: ModelSpec,
        buckets: tuple[int, ...],
        why: Callable[[], str],
    ) -> None:
        """Allocate, warm up and capture every bucket; nothing is allocated or captured later.

        Args:
            cuda: with its device current.
            new_context: returns an execution context of the engine, or None if that failed.
            spec: names and shapes of input and output.
            buckets: batch sizes, ascending.
            why: returns TensorRT's last error message.

        Raises:
            EngineError: out of memory, TensorRT refused, or the results of a graph differ from the network's.
        """
        self._cuda, self._spec, self._buckets, self._why = cuda, spec, buckets, why
        self._image_shape = (spec.input.channels, spec.input.height, spec.input.width)
        self._graphs: dict[int, Any] = {}
        self._contexts: dict[int, Any] = {}
        self._open = ExitStack()
        with ExitStack() as undo:  # a failure frees what was allocated
            undo.callback(self.close)
            self._allocate()
            for bucket in buckets:
                self._prepare(bucket, new_context())
            undo.pop_all()

    @property
    def num_graphs(self) -> int:
        """Number of buckets that run as a CUDA graph; the others are enqueued layer by layer."""
        return len(self._graphs)

    def run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits (N, C) for (N, channels, height, width) uint8, C-contiguous; any N.

        Raises:
            EngineError: CUDA or TensorRT failed.
        """
        logits = np.empty((len(images_nchw), len(self._spec.labels)), dtype=np.float32)
        for start, stop, bucket in cut(len(images_nchw), self._buckets):
            self._images[: stop - start] = images_nchw[start:stop]
            self._images[stop - start : bucket] = 0
            if bucket in self._graphs:
                self._cuda.launch(self._graphs[bucket], self._stream)
            else:
                self._enqueue(bucket)
            self._cuda.wait(self._stream)
            logits[start:stop] = self._logits[: stop - start]
        return logits

    def close(self) -> None:
        """Wait for the GPU, then free graphs, contexts, memory and stream, in this order; further calls do nothing."""
        with suppress(EngineError):  # after a failed call, which has raised, CUDA also refuses to free
            self._open.close()

    def _allocate(self) -> None:
        """Create stream and buffers for the largest bucket, each registered to be freed."""
        cuda, largest = self._cuda, self._buckets[-1]
        self._stream = cuda.new_stream()
        self._open.callback(cuda.free_stream, self._stream)
        images, logits = (largest, *self._image_shape), (largest, len(self._spec.labels))
        self._device_images, self._host_images = self._new_pair(self._num_image_bytes(largest))
        self._device_logits, self._host_logits = self._new_pair(self._num_logit_bytes(largest))
        self._images = array_at(self._host_images, images, np.uint8)
        self._logits = array_at(self._host_logits, logits, np.float32)
        self._images[:], self._logits[:] = 0, 0
        self._open.callback(self._contexts.clear)
        self._open.callback(self._free_graphs)

    def _new_pair(self, num_bytes: int) -> tuple[int, int]:
        """Allocate GPU memory and pinned host memory of this size and return their addresses."""
        device = self._cuda.new_device_memory(num_bytes)
        self._open.callback(self._cuda.free_device_memory, device)
        host = self._cuda.new_pinned_memory(num_bytes)
        self._open.callback(self._cuda.free_pinned_memory, host)
        return device, host

    def _free_graphs(self) -> None:
        """Free the graphs after the stream is done; a graph must not be destroyed while it runs."""
        try:
            self._cuda.wait(self._stream)
        finally:
            while self._graphs:
                self._cuda.free_graph(self._graphs.popitem()[1])

    def _prepare(self, bucket: int, context: Any) -> None:
        """Set shape and addresses, run once (first runs load kernels), then capture and check the graph."""
        if context is None:
            raise EngineError(f"TensorRT gave no execution context for a batch of {bucket}: {self._why()}")
        name, shape = self._spec.input.name, (bucket, *self._image_shape)
        self._require(context.set_input_shape(name, shape), f"the input shape {shape}")
        self._require(context.set_tensor_address(name, self._device_images), f"the address of {name}")
        self._require(context.set_tensor_address(OUTPUT_NAME, self._device_logits), f"the address of {OUTPUT_NAME}")
        self._contexts[bucket] = context
        self._enqueue(bucket)
        self._cuda.wait(self._stream)
        is_capturable = getattr(context, "is_stream_capturable", None)  # only TensorRT for RTX can say
        if is_capturable is None or is_capturable(int(self._stream)):
            expected = self._logits[:bucket].copy()
            self._graphs[bucket] = self._cuda.capture(self._stream, lambda: self._enqueue(bucket))
            self._try_graph(bucket, expected)

    def _try_graph(self, bucket: int, expected: NDArray[np.float32]) -> None:
        """Replay into memory full of NaN: a graph without one of its steps would return old results."""
        self._logits[:bucket] = np.nan
        self._cuda.fill(self._device_logits, _NAN_BYTE, self._num_logit_bytes(bucket), self._stream)
        self._cuda.launch(self._graphs[bucket], self._stream)
        self._cuda.wait(self._stream)
        if not np.allclose(self._logits[:bucket], expected, rtol=1e-3, atol=1e-3, equal_nan=True):
            raise EngineError(
                f"the CUDA graph for a batch of {bucket} gives other logits than the network it was captured from.\n"
                "    Fix: update TensorRT and the driver, then build the plan again with fer-deploy build"
            )

    def _enqueue(self, bucket: int) -> None:
        """Put upload, network and download of a whole bucket on the stream."""
        self._cuda.upload(self._device_images, self._host_images, self._num_image_bytes(bucket), self._stream)
        accepted = self._contexts[bucket].execute_async_v3(int(self._stream))
        self._require(accepted, f"a batch of {bucket}")
        self._cuda.download(self._host_logits, self._device_logits, self._num_logit_bytes(bucket), self._stream)

    def _require(self, accepted: bool, what: str) -> None:
        if not accepted:
            raise EngineError(
                f"TensorRT refused {what}: {self._why()}\n    Fix: build the plan again with fer-deploy build"
            )

    def _num_image_bytes(self, num: int) -> int:
        return num * int(np.prod(self._image_shape))

    def _num_logit_bytes(self, num: int) -> int:
        return num * len(self._spec.labels) * np.dtype(np.float32).itemsize
