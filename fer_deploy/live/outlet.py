"""Outlet: a sink with the results that wait for it, and what becomes of it when it is slow or fails.

The policy is the run's, not the sink's. Live every sink drops its oldest results: waiting for one would fill the
workers' hands, then the intake, and in the end cost all other sinks the newest frames. A sink says how many may wait
for it: one for a window, which shows the newest, thirty for a video, whose encoder may be behind for a second. For the
same reason a sink that failed does not end a live run: a full disk is no reason to take the page from whoever watches.
The run goes on without it, says so, and fails at its end. Without live sources nothing may be lost: it ends at once.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from fer_deploy.errors import FerDeployError, SinkError
from fer_deploy.live.drawing.overlay import Drawing
from fer_deploy.live.sinks import Sink
from fer_deploy.live.stats import SinkSnapshot
from fer_deploy.live.threads.buffer import PENDING, Buffer, DropPolicy, Signal
from fer_deploy.vision.types import FrameResult

_log = logging.getLogger(__name__)
POLL_S = 0.1
"""How often a sink without results is asked whether it is content."""
RECORDING_CAPACITY = 8
Item = tuple[FrameResult, Drawing | None]
"""A result, and its annotated picture for a sink that needs one."""


class Outlet:
    """One sink of a loop. `put` is the workers'; everything else the sink's own thread's."""

    def __init__(self, sink: Sink, *, is_live: bool) -> None:
        """Take a sink.

        Args:
            sink: whose results these are.
            is_live: whether a source is known to be live by now; then results that it cannot take in time are dropped.
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
        """Learn that a source proved to be live, ahead of its first result: from now on late results are dropped."""
        self._is_live = True
        self._buffer.drop_oldest(self.sink.live_capacity)
        self.sink.become_live()

    def put(self, item: Item) -> None:
        """Hand a result over; one that comes after the sink's end, or of a source that is not its own, is ignored."""
        if self.sink.source in (None, item[0].frame.source):
            self._buffer.put(item)

    def finish(self) -> None:
        """Take no further result; those that wait are still written, and one that comes is counted as dropped."""
        self._buffer.finish()

    def pump(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Write until the results end, the sink asks to end, or it fails; then close it. Never raises an Exception."""
        try:
            while not until() and self.step():
                pass
        finally:
            self.end()

    def step(self) -> bool:
        """Write one result, or let the sink be idle for `POLL_S`. Return whether there is more to do."""
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
        except Exception as err:  # noqa: BLE001 - a sink's failure is kept, the loop judges it
            self.sink.is_incomplete = True
            self._fail(err)
            return False
        if not goes_on:
            self.wants_end.set()
        return goes_on

    def end(self) -> None:
        """Close the sink and take no further result; a second call does nothing."""
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
        """Wait for the sink's end. Return whether it came."""
        return self._ended.wait(timeout_s)

    def give_up(self, reason: str) -> None:
        """Count a sink whose thread does not come back as failed."""
        self._fail(SinkError(reason))

    def snapshot(self) -> SinkSnapshot:
        """Return what it has written and dropped."""
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
        if self.failure is not None:  # what follows from the first failure must not hide it
            return
        self.failure = err
        if self._is_live:
            _log.warning("the %s output has failed: %s", self.sink.name, err)
