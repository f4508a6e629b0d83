"""FakeEngine: an engine without a model, for tests of the code around engines. Its results have no meaning."""

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.base import Device, Engine
from fer_deploy.errors import EngineError
from fer_deploy.spec import InputSpec, ModelSpec

FAKE_SPEC = ModelSpec(
    spec_version=1,
    architecture="fake",
    labels=("dark", "bright"),
    input=InputSpec(name="images", height=48, width=48, channels=1, dtype="uint8", color="gray", mean=127.5, std=127.5),
)


class FakeEngine(Engine):
    """Classifies dark and bright images: logits (-m, m) with m the mean pixel on a scale of -1 to 1."""

    def __init__(self, *, fail_at_call: int | None = None) -> None:
        """Create an engine; the call with number `fail_at_call`, counted from 0, raises EngineError."""
        super().__init__(FAKE_SPEC, "fake")
        self._fail_at_call = fail_at_call
        self.batch_sizes: list[int] = []
        self.closed = False

    @classmethod
    def open(cls, path: Path, *, device: Device = "auto") -> Self:
        """Return a fake engine; the file is not read."""
        return cls()

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(self.batch_sizes) == self._fail_at_call:
            raise EngineError(f"FakeEngine was told to fail at call {self._fail_at_call}")
        self.batch_sizes.append(len(images_nchw))
        brightness = (images_nchw.mean(axis=(1, 2, 3)) - self.spec.input.mean) / self.spec.input.std
        return np.stack([-brightness, brightness], axis=1).astype(np.float32)

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True
