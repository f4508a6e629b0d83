"""Supervision: tell systemd the state of a live run.

READY=1 is sent after the first analyzed frame, WATCHDOG=1 only after new frames, STATUS= with each, STOPPING=1 when the
run begins to end. A run that delivers nothing gets no watchdog, and systemd restarts it.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Final

from fer_deploy.live.service.notify import notify, watchdog_s
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.live.threads.worker import Worker

FIRST_LOOK_S: Final = 0.1
"""Time between two looks until the first frame."""
LOOK_S: Final = 5.0
"""The same later, if systemd wants no watchdog or a slow one."""
_END: Final = "end"
_STOP: Final = "stop"
_log = logging.getLogger(__name__)


class Supervision:
    """Looks at the run from a thread of its own. Does nothing without NOTIFY_SOCKET."""

    def __init__(self, snapshot: Callable[[], LiveSnapshot], environ: Mapping[str, str] = os.environ) -> None:
        """Report the state that `snapshot` returns; `environ` has what systemd sets."""
        self._snapshot, self._environ = snapshot, environ
        self._watchdog_s = watchdog_s(environ)
        self._events: SimpleQueue[str] = SimpleQueue()  # its put may interrupt itself, as in signal handlers
        self._num_frames = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Report while the block runs."""
        if "NOTIFY_SOCKET" not in self._environ:
            yield
            return
        worker = Worker("supervision", self._report, lambda _, err: _log.error("systemd is no longer told: %s", err))
        worker.start()
        try:
            yield
        finally:
            self._events.put(_END)
            worker.join(LOOK_S)

    def stopping(self) -> None:
        """Report the end. Safe in signal handlers."""
        self._events.put(_STOP)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Report a reload; before the first frame nothing is sent, since its end would be READY=1."""
        is_ready = self._num_frames > 0
        if is_ready:
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            if is_ready:
                self._send("READY=1")

    def _report(self) -> None:
        self._send("STATUS=waiting for the first frame")
        has_stopped = False
        while True:
            try:
                event = self._events.get(timeout=self._interval_s())
            except Empty:
                event = ""
            if not has_stopped:
                self._send(*(["STOPPING=1", "STATUS=finishing the outputs"] if event else self._state()))
            has_stopped = has_stopped or bool(event)
            if event == _END:
                return

    def _interval_s(self) -> float:
        if not self._num_frames:
            return FIRST_LOOK_S
        return min(LOOK_S, (self._watchdog_s or LOOK_S) / 4)

    def _state(self) -> list[str]:
        """Return what is new: nothing before the first frame."""
        snapshot = self._snapshot()
        if not snapshot.num_frames:
            return []
        is_first, has_new = self._num_frames == 0, snapshot.num_frames > self._num_frames
        self._num_frames = snapshot.num_frames
        lines = ["READY=1"] if is_first else []
        lines += ["WATCHDOG=1"] if has_new and self._watchdog_s is not None else []
        return [*lines, f"STATUS={status_line(snapshot)}"]

    def _send(self, *lines: str) -> None:
        if lines:
            notify(*lines, environ=self._environ)


def status_line(snapshot: LiveSnapshot) -> str:
    """Return the state of a run in one line, without addresses."""
    num_running = sum(source.health.state == "running" for source in snapshot.sources)
    failed = [sink.name for sink in snapshot.sinks if sink.failure]
    words = [
        f"{snapshot.num_frames:,} frames",
        f"{snapshot.throughput_fps:.1f} a second",
        f"{num_running} of {len(snapshot.sources)} sources deliver",
        *([f"failed outputs: {', '.join(failed)}"] if failed else []),
    ]
    return ", ".join(words)
