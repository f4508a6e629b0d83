"""Engine: the interface of every backend, and the input check that all of them share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import ConfigError, EngineError
from fer_deploy.spec import ModelSpec

Device = Literal["auto", "cpu", "cuda", "tensorrt", "tensorrt-rtx", "openvino"]
"""What runs a model. "tensorrt" and "tensorrt-rtx" are providers of ONNX Runtime; a TensorRT plan runs on "cuda".
"openvino" is OpenVINO on the CPU."""


class Engine(ABC):
    """A loaded model; close it, or use it as a context manager. Use it from one thread at a time.

    Attributes:
        is_concurrent: if True, `infer` may be called from several threads at once.
    """

    is_concurrent = False

    def __init__(self, spec: ModelSpec, description: str) -> None:
        self._spec = spec
        self._description = description

    @classmethod
    @abstractmethod
    def open(cls, path: Path, *, device: Device = "auto") -> Self:
        """Load a model file; see `fer_deploy.engines.open_engine` for the errors."""

    @property
    def spec(self) -> ModelSpec:
        """The model's contract and provenance."""
        return self._spec

    @property
    def description(self) -> str:
        """Backend, provider and precision, as verified at loading, as text for users."""
        return self._description

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings of the backend, for reports; empty if it has none."""
        return MappingProxyType({})

    def infer(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits for a batch.

        Args:
            images_nchw: (N, C, H, W) of `spec.input`, such as (N, 1, 48, 48) uint8; N may be 0.

        Returns:
            (N, num_labels) float32, owned by the caller.

        Raises:
            EngineError: another shape or dtype, the backend failed, or a logit is not finite.
        """
        check_images(images_nchw, self._spec)
        if len(images_nchw) == 0:
            return np.empty((0, len(self._spec.labels)), dtype=np.float32)
        logits = self._run(np.ascontiguousarray(images_nchw))
        if not np.isfinite(logits).all():
            raise EngineError(f"{self._description} gave logits that are not finite. Fix: verify or rebuild the model")
        return logits

    @abstractmethod
    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run a checked, contiguous batch of at least one image."""

    def close(self) -> None:
        """Free the backend's resources; further calls do nothing."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_device(device: object) -> None:
    """Raise ConfigError unless `device` is one of `Device`."""
    if device not in get_args(Device):
        raise ConfigError(f"unknown device {device!r}. Fix: one of {', '.join(get_args(Device))}")


def check_images(images_nchw: NDArray[np.uint8], spec: ModelSpec) -> None:
    """Compare a batch with the model's input.

    Raises:
        EngineError: not an array; another dtype, number of dimensions or image shape.
    """
    wanted = (spec.input.channels, spec.input.height, spec.input.width)
    shape = f"(N, {', '.join(map(str, wanted))})"
    fix = f"Fix: an array of {spec.input.dtype} and shape {shape}; Recognizer.classify takes crops of any size"
    if not isinstance(images_nchw, np.ndarray):
        raise EngineError(f"images are {type(images_nchw).__name__}, expected a NumPy array. {fix}")
    if images_nchw.dtype != np.dtype(spec.input.dtype):
        raise EngineError(
            f"images are {images_nchw.dtype}, expected {spec.input.dtype} in 0 to 255; the graph normalizes. {fix}"
        )
    if images_nchw.ndim != 4 or images_nchw.shape[1:] != wanted:
        raise EngineError(f"images have shape {images_nchw.shape}, expected {shape}. {fix}")
