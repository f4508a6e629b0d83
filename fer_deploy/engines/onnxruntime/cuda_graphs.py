"""Run a session on fixed GPU buffers: one IOBinding for each batch bucket, replayed as a CUDA graph.

The time of a small network is dominated by kernel launches; a graph replays all of them in one launch. A graph replays
addresses, so each bucket has two permanent buffers and its own graph id: ONNX Runtime does not check that an id runs
with its captured shape. Graphs belong to the thread that captured them; another thread captures its own at its first
call.
"""

import threading
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from fer_deploy.engines.buckets import cut
from fer_deploy.errors import EngineError
from fer_deploy.spec import OUTPUT_NAME, ModelSpec

WARM_UP_RUNS = 3
"""ONNX Runtime runs a graph once or twice normally to allocate memory, then captures it, then replays it."""


NO_GRAPH = -1
"""Graph id of a run that neither captures nor replays."""


def _graph_options(graph_id: int) -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph_id))
    return options


class _Bucket:
    """Buffers of one batch size and their binding."""

    def __init__(self, session: ort.InferenceSession, spec: ModelSpec, size: int, device: str) -> None:
        shape = (size, spec.input.channels, spec.input.height, spec.input.width)
        self.staging = np.zeros(shape, dtype=np.uint8)
        self.images = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.uint8, device, 0)
        self.logits = ort.OrtValue.ortvalue_from_shape_and_type((size, len(spec.labels)), np.float32, device, 0)
        self.binding = session.io_binding()
        self.binding.bind_ortvalue_input(spec.input.name, self.images)
        self.binding.bind_ortvalue_output(OUTPUT_NAME, self.logits)
        self.run_options = _graph_options(size)  # any id above 0 is allowed; no other bucket has this size


class BucketRunner:
    """Runs batches of any size in buckets. Used from one thread at a time."""

    def __init__(
        self, session: ort.InferenceSession, spec: ModelSpec, buckets: Sequence[int], *, device: str = "cuda"
    ) -> None:
        """Allocate and bind the buffers of each bucket.

        Args:
            session: with or without `enable_cuda_graph`.
            spec: of the session's model.
            buckets: batch sizes in ascending order.
            device: of the buffers, "cuda" or "cpu".
        """
        self._session = session
        self._buckets = {size: _Bucket(session, spec, size, device) for size in buckets}
        self._sizes = tuple(buckets)
        self._num_labels = len(spec.labels)
        self._without_graph = _graph_options(NO_GRAPH)
        self._here = threading.local()

    def warm_up(self) -> None:
        """Run each bucket until its graph is captured and replayed, in this thread.

        Raises:
            EngineError: the result of a replay differs from that of the session without a graph.
        """
        for bucket in self._buckets.values():
            for _ in range(WARM_UP_RUNS):
                self._run_bucket(bucket, np.zeros_like(bucket.staging))
            self._check_replay(bucket)
        self._here.is_warm = True

    def _check_replay(self, bucket: _Bucket) -> None:
        """Compare a replay with a run without a graph: a faulty capture silently returns old results."""
        images = np.resize(np.arange(251, dtype=np.uint8), bucket.staging.shape)
        replayed = self._run_bucket(bucket, images).copy()
        plain = self._run_bucket(bucket, images, self._without_graph)
        if not np.allclose(replayed, plain, rtol=1e-2, atol=1e-2, equal_nan=True):
            raise EngineError(
                f"the CUDA graph for a batch of {len(images)} gives other logits than the network it was captured "
                f"from (max |Δlogit| {np.abs(replayed - plain).max():.2g}). Fix: update the driver and "
                "onnxruntime-gpu, or open the engine without cuda_graph"
            )

    def __call__(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits (N, C) float32 for (N, 1, H, W) uint8, N at least 1; the caller owns them."""
        if not getattr(self._here, "is_warm", False):
            self.warm_up()
        logits = np.empty((len(images_nchw), self._num_labels), dtype=np.float32)
        for start, stop, size in cut(len(images_nchw), self._sizes):
            logits[start:stop] = self._run_bucket(self._buckets[size], images_nchw[start:stop])
        return logits

    def _run_bucket(
        self, bucket: _Bucket, images_nchw: NDArray[np.uint8], options: ort.RunOptions | None = None
    ) -> NDArray[np.float32]:
        """Return logits that the next run may overwrite."""
        num = len(images_nchw)
        bucket.staging[:num] = images_nchw
        bucket.staging[num:] = 0  # fixed padding, so that equal batches give equal results
        bucket.images.update_inplace(bucket.staging)
        self._session.run_with_iobinding(bucket.binding, options or bucket.run_options)  # returns when the GPU is done
        logits: NDArray[np.float32] = bucket.logits.numpy()[:num]
        return logits
