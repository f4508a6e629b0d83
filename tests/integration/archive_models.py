"""Models for the workers of an archive that fail in chosen ways."""

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
from integration.analyze_jobs import squares
from integration.analyze_videos import SquareDetector

from fer_deploy.analyze.models import Models
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError
from fer_deploy.vision.types import Detection


class _Trapped(SquareDetector):
    """Does something as long as a file exists."""

    def __init__(self, trap: Path, what: str) -> None:
        self._trap, self._what = trap, what

    def detect(self, frame_bgr: np.ndarray, scene_size: object = None) -> list[Detection]:
        while self._what == "wait" and self._trap.exists():
            time.sleep(0.05)
        if self._trap.exists():
            if self._what.endswith("once"):
                self._trap.unlink(missing_ok=True)
            if self._what.startswith("die"):
                os.kill(os.getpid(), signal.SIGKILL)
            if self._what.startswith("hang"):
                time.sleep(3600)
            raise EngineError("the trap is there. Fix: remove it")
        return super().detect(frame_bgr, scene_size)


@contextmanager
def trapped(what: str, trap: Path, engine_file: Path) -> Iterator[Models]:
    """Open models whose detector kills its process, hangs, waits or fails, as long as a file exists."""
    with squares(engine_file) as models:
        yield Models(FakeEngine(), models.engine_file, lambda: _Trapped(trap, what), None, "squares")


class _Poisoned(SquareDetector):
    """Takes its time, and kills its process if a frame has a certain width."""

    def __init__(self, width: int, delay_s: float) -> None:
        self._width, self._delay_s = width, delay_s

    def detect(self, frame_bgr: np.ndarray, scene_size: object = None) -> list[Detection]:
        time.sleep(self._delay_s)
        if frame_bgr.shape[1] == self._width:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(frame_bgr, scene_size)


@contextmanager
def poisoned(width: int, delay_s: float, engine_file: Path) -> Iterator[Models]:
    """Open models whose detector dies of frames of a width, and waits before each."""
    with squares(engine_file) as models:
        yield Models(FakeEngine(), models.engine_file, lambda: _Poisoned(width, delay_s), None, "squares")


@contextmanager
def without_space(engine_file: Path) -> Iterator[Models]:
    """Open models in a process whose folder for unfinished files is on a full disk."""
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    with squares(engine_file) as models, patch("fer_deploy.files.durable.whole_file", full):
        yield models
