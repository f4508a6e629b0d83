"""Collect the failures of a run, and choose the one that is raised."""

import logging
import threading
from collections.abc import Sequence

from fer_deploy.errors import EngineError, FerDeployError, ReaderEndedError, StreamError
from fer_deploy.live.sinks.unfinished import KeptBeside

_log = logging.getLogger(__name__)


class Failures:
    """Stores the first failure that ended the run, and the first that ended a source."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fatal: FerDeployError | None = None
        self._of_source: FerDeployError | None = None

    def note_fatal(self, err: FerDeployError) -> None:
        """Store a failure that ends the run."""
        with self._lock:
            self._fatal = self._fatal or err

    def note_of_source(self, err: FerDeployError) -> None:
        """Store a failure that ended a source; other sources may continue."""
        with self._lock:
            self._of_source = self._of_source or err

    def raise_first(self, of_sinks: Sequence[FerDeployError]) -> None:
        """Raise the most important failure and log the others: of the run, then of outputs, then of sources.

        `KeptBeside` comes last, since it follows from another failure. A reader of standard output that has ended comes
        after real failures, since it ends the command without a message.

        Raises:
            FerDeployError: the most important failure.
        """
        failures = [err for err in (self._fatal, *of_sinks, self._of_source) if err is not None]
        failures.sort(key=lambda err: (isinstance(err, KeptBeside), isinstance(err, ReaderEndedError)))
        for err in failures[1:]:
            _log.warning("%s", err)
        if failures:
            raise failures[0]


def failure_from(stage: str, err: Exception) -> FerDeployError:
    """Return an error of a stage as a FerDeployError with its `stage`."""
    if not isinstance(err, FerDeployError):
        kind = StreamError if stage == "capture" else EngineError
        cause, err = err, kind(f"the {stage} thread failed: {type(err).__name__}: {err}")
        err.__cause__ = cause
    err.stage = stage
    return err
