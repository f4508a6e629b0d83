"""Workforce: the state that the workers of a loop share, and the body of each worker's thread."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from fer_deploy.engines.base import Engine
from fer_deploy.engines.waiting import GivenUp, waiting_until
from fer_deploy.errors import ConfigError
from fer_deploy.live.analysis import SourceAnalysis
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.intake import Intake
from fer_deploy.live.threads.turnstile import Aborted
from fer_deploy.vision.detector import Detector

Detectors = Callable[[], Detector]
"""Makes the detector of a worker."""


class OnError(Protocol):
    """Called in the thread that failed; `number` is the source if its frames do not fit the settings."""

    def __call__(self, stage: str, err: Exception, number: int | None = None) -> None:
        """Store the failure."""


class _OwnDetector:
    """The detector of one worker: made again when the factory was replaced."""

    def __init__(self, factory: Detectors) -> None:
        self._factory, self._detector = factory, factory()

    def of(self, factory: Detectors) -> Detector:
        if factory is not self._factory:
            self._factory, self._detector = factory, factory()
        return self._detector


class Workforce:
    """Pops chunks from the intake and analyzes them.

    Attributes:
        done: set once all workers have ended.
    """

    def __init__(
        self,
        intake: Intake,
        analyses: Sequence[SourceAnalysis],
        detectors: Detectors,
        engine: Engine,
        *,
        num_workers: int,
        on_error: OnError,
    ) -> None:
        """Create the shared state.

        Args:
            intake: where chunks wait.
            analyses: one for each source.
            detectors: creates a detector for each worker.
            engine: at most one worker at a time uses it, unless it is concurrent.
            num_workers: threads that will call `work`.
            on_error: called with each failure.
        """
        self._intake, self._analyses, self._detectors, self._on_error = intake, analyses, detectors, on_error
        self._engine_turn: AbstractContextManager[Any] = nullcontext() if engine.is_concurrent else threading.Lock()
        self._num_working = num_workers
        self._lock = threading.Lock()
        self._given_up = threading.Event()
        self.done = threading.Event()

    def work(self) -> None:
        """Analyze chunks until none is left; the body of a worker's thread."""
        try:
            own = _OwnDetector(self._detectors)
            with waiting_until(self._given_up):
                while self._analyze_next(own):
                    pass
        except Exception as err:  # noqa: BLE001 - a worker's end
            self._on_error("infer", err)
        finally:
            with self._lock:
                self._num_working -= 1
                if self._num_working == 0:
                    self.done.set()

    def set_config(self, config: PipelineConfig, detectors: Detectors | None) -> None:
        """Analyze the next frames with other settings, and other detectors if given. Callable from any thread."""
        for analysis in self._analyses:
            analysis.set_config(config)
        if detectors is not None:
            self._detectors = detectors

    def give_up(self) -> None:
        """Abort the chunks being analyzed, also those that wait for a server. Callable from any thread."""
        self._given_up.set()
        for analysis in self._analyses:
            analysis.give_up()

    def _analyze_next(self, own: _OwnDetector) -> bool:
        """Analyze the next chunk and return True, or return False if there is none. A waiting worker holds no frame."""
        chunk = self._intake.next_chunk()
        if chunk is None:
            return False
        try:
            analysis = self._analyses[chunk.source]
            analysis.run(chunk, own.of(self._detectors), self._engine_turn, self._intake.num_dropped(chunk.source))
        except (Aborted, GivenUp):
            pass  # the run is ending, or this source was given up and the others continue
        except ConfigError as err:  # the settings do not fit this source's frames
            self._on_error("infer", err, chunk.source)
        finally:
            self._intake.give_back(chunk)
        return True
