"""SharedEngine: make any engine safe for several threads."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Device, Engine


class SharedEngine(Engine):
    """Passes calls to the wrapped engine, one thread at a time."""

    is_concurrent = True

    def __init__(self, engine: Engine) -> None:
        """Wrap an opened engine; `close` closes it."""
        super().__init__(engine.spec, engine.description)
        self._engine, self._lock = engine, threading.Lock()

    @classmethod
    def open(cls, path: Path, *, device: Device = "auto") -> Self:
        """Load a model file; see `fer_deploy.engines.open_engine` for the errors."""
        return cls(open_engine(path, device=device))

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings of the wrapped engine."""
        return self._engine.settings

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            return self._engine.infer(images_nchw)

    def close(self) -> None:
        """Wait for the running call, then close the wrapped engine."""
        with self._lock:
            self._engine.close()
