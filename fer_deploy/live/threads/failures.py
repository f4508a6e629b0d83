"""Failures of a run: which of them it is raised for, when there were several."""

import logging
import threading
from collections.abc import Sequence

from fer_deploy.errors import EngineError, FerDeployError, StreamError
from fer_deploy.live.sinks.unfinished import KeptBeside

_log = logging.getLogger(__name__)


class Failures:
    """Keeps the first failure that ended the run, and the first of a source, which may have left others running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fatal: FerDeployError | None = None
        self._of_source: FerDeployError | None = None

    def note_fatal(self, err: FerDeployError) -> None:
        """Keep what ends the run."""
        with self._lock:
            self._fatal = self._fatal or err

    def note_of_source(self, err: FerDeployError) -> None:
        """Keep what ended a source."""
        with self._lock:
            self._of_source = self._of_source or err

    def raise_first(self, of_sinks: Sequence[FerDeployError]) -> None:
        """Raise what matters most: what ended the run, then what outputs lack, then what sources did. Log the others.

        Files that are kept beside older ones come last, since they follow from the rest.

        Raises:
            FerDeployError: that.
        """
        failures = [err for err in (self._fatal, *of_sinks, self._of_source) if err is not None]
        failures.sort(key=lambda err: isinstance(err, KeptBeside))
        for err in failures[1:]:
            _log.warning("%s", err)
        if failures:
            raise failures[0]


def failure_from(stage: str, err: Exception) -> FerDeployError:
    """Return the error of a stage as one of this package, with its stage."""
    if not isinstance(err, FerDeployError):
        kind = StreamError if stage == "capture" else EngineError
        cause, err = err, kind(f"the {stage} thread failed: {type(err).__name__}: {err}")
        err.__cause__ = cause
    err.stage = stage
    return err
