"""Outlet: the thread around a sink, its queue of results, and the handling of slow or failed sinks.

The run sets the policy, not the sink. In a live run every sink drops its oldest results: waiting for one sink would
block the workers, then the intake, and finally all other sinks. A sink defines how many results may wait: one for a
window, which shows the newest, and thirty for a video, whose encoder may lag by a second. For the same reason a failed
sink does not end a live run: a full disk must not stop the web page. The run continues without the sink, logs a
warning, and fails at its end. Without live sources no result may be lost, so the run ends at once.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from fer_deploy.errors import FerDeployError, ReaderEndedError, SinkError
from fer_deploy.live.drawing.overlay import Drawing
from fer_deploy.live.sinks import Sink
from fer_deploy.live.stats import SinkSnapshot
from fer_deploy.live.threads.buffer import PENDING, Buffer, DropPolicy, Signal
from fer_deploy.vision.types import FrameResult

_log = logging.getLogger(__name__)
POLL_S = 0.1
"""Interval of calls of `Sink.idle` while there are no results."""
RECORDING_CAPACITY = 8
Item = tuple[FrameResult, Drawing | None]
"""A result, and its annotated picture for a sink that needs one."""


class Outlet:
    """One sink of a loop. Workers call `put`; the sink's thread calls everything else."""

    def __init__(self, sink: Sink, *, is_live: bool) -> None:
        """Create the outlet of a sink.

        Args:
            sink: receives the results.
            is_live: whether a source is known to be live; then results that the sink is too slow for are dropped.
        """
        self.sink = sink
        self._is_live = is_live
        policy = DropPolicy.DROP_OLDEST if is_live else DropPolicy.WAIT
        self._buffer: Buffer[Item] = Buffer(sink.live_capacity if is_live else RECORDING_CAPACITY, policy)
        self._num_written = 0
        self._is_writing = False
        self._ended = threading.Event()
        self.is_closing = threading.Event()
        self.failure: Exception | None = None
        self.wants_end = threading.Event()

    def become_live(self) -> None:
        """Drop late results from now on: a source proved to be live. Called before its first result."""
        self._is_live = True
        self._buffer.drop_oldest(self.sink.live_capacity)
        self.sink.become_live()

    def put(self, item: Item) -> None:
        """Queue a result; results after the sink's end, or of a source that is not its own, are ignored."""
        if self.sink.source in (None, item[0].frame.source):
            self._buffer.put(item)

    def finish(self) -> None:
        """Accept no further results; waiting ones are still written, and later ones count as dropped."""
        self._buffer.finish()

    def pump(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Write until the results end, the sink asks to end, or it fails; then close it. Never raises an Exception."""
        try:
            while not until() and self.step():
                pass
        finally:
            self.end()

    def step(self) -> bool:
        """Write one result, or call `Sink.idle` after `POLL_S` without one. Return whether there is more to do."""
        try:
            item = self._buffer.get(timeout_s=POLL_S)
            if isinstance(item, Signal):
                goes_on = self.sink.idle() if item is PENDING else False
                if item is not PENDING:
                    return False
            else:
                result, drawing = item
                self._is_writing = True
                goes_on = self.sink.write(result, drawing.picture() if drawing and self.sink.needs_picture else None)
                self._num_written += 1
                self._is_writing = False
        except Exception as err:  # noqa: BLE001 - the failure is stored; the loop decides whether the run ends
            self.sink.is_incomplete = True
            self._fail(err)
            return False
        if not goes_on:
            self.wants_end.set()
        return goes_on

    def end(self) -> None:
        """Close the sink and accept no further results; a second call does nothing."""
        if self.is_closing.is_set():
            return
        self._buffer.close()
        self.is_closing.set()
        try:
            self.sink.close()
        except Exception as err:  # noqa: BLE001 - as above
            self._fail(err)
        self._ended.set()

    def has_ended(self, timeout_s: float | None) -> bool:
        """Wait for the sink's end and return whether it has ended."""
        return self._ended.wait(timeout_s)

    def give_up(self, reason: str) -> None:
        """Mark a sink whose thread hangs as failed."""
        self._fail(SinkError(reason))

    def snapshot(self) -> SinkSnapshot:
        """Return the counts of written and dropped results, and the failure."""
        failure = "" if self.failure is None else str(self.failure)
        num_lost = self.sink.num_dropped
        num_dropped = self._buffer.num_dropped + num_lost
        if self.failure is not None:
            num_dropped += self._buffer.num_forgotten + self._is_writing
        files = tuple(map(str, self.sink.files))
        return SinkSnapshot(self.sink.name, max(0, self._num_written - num_lost), num_dropped, failure, files, num_lost)

    def error(self) -> FerDeployError | None:
        """Return the failure as an error of this package, or None."""
        if self.failure is None:
            return None
        err: Any = self.failure
        if not isinstance(err, FerDeployError):
            err = SinkError(f"the {self.sink.name} sink failed: {type(self.failure).__name__}: {self.failure}")
            err.__cause__ = self.failure
        err.stage = "sink"
        return err  # type: ignore[no-any-return]

    def _fail(self, err: Exception) -> None:
        if self.failure is not None:  # later failures must not hide the first one
            return
        self.failure = err
        if self._is_live and not isinstance(err, ReaderEndedError):
            _log.warning("the %s output has failed: %s", self.sink.name, err)
