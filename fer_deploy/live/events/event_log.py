"""EventLog: the events of a run; each is written into its file when it ends."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.errors import SinkError
from fer_deploy.live.events.message import EventMessage, EventRefused
from fer_deploy.live.sinks.lines_file import LinesFile
from fer_deploy.live.sinks.tables.base import Row
from fer_deploy.live.sinks.tables.csv_file import csv_text
from fer_deploy.live.sinks.unfinished import replaceable, unfinished_path

COLUMNS: Final = ("start", "end", "label", "kind", "source", "video", "run")
MARK_S: Final = 1.0
"""Seconds that a mark lasts in the file: an event without a duration has no frames."""
MOST_OPEN: Final = 100
MOST_EVENTS: Final = 100_000
_FIX: Final = "another --events-out"
_DIGITS: Final = 4


class Noted(NamedTuple):
    """What was noted: the message, and the time of each source that it concerns, in seconds of the source."""

    message: EventMessage
    times_s: dict[int, float]


class _Newest(NamedTuple):
    """The newest frame of a source: its time, when it was captured, and whether the source is live."""

    time_s: float
    captured_ns: int
    is_live: bool


class EventLog:
    """Notes events from any thread.

    Times are those of the source, as `time_s` in the tables. Of a live source it is the time at which the event is
    noted, counted from its newest frame; of a recording, the time of its newest result.

    The file is created when the first event ends. A killed run loses the open events only.

    Attributes:
        path: of the file.
        names: labels that the user named, for keys and buttons.
        failure: why an event could not be written; None if all were.
    """

    def __init__(
        self,
        path: Path,
        *,
        names: Sequence[str] = (),
        videos: Sequence[str] = ("",),
        run: str = "",
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Check that the file can be created.

        Args:
            path: of the file; an older one is replaced at the end of the run.
            names: labels for keys and buttons.
            videos: for each source, the name of the file that its times are of; empty: none.
            run: short name of the run, for the last column.
            now_ns: the clock that `Frame.captured_ns` is of.

        Raises:
            SinkError: it cannot be created.
        """
        self.path, self.names = path, tuple(names)
        self.failure: SinkError | None = None
        self._videos, self._run, self._now_ns = tuple(videos), run, now_ns
        self._lock = threading.Lock()
        self._newest: dict[int, _Newest] = {}
        self._open: dict[tuple[str, int], float] = {}
        self._file: LinesFile | None = None
        self._num_events = 0
        self._has_ended = False
        _require_writable(path)

    def note_frame(self, source: int, time_s: float, captured_ns: int, *, is_live: bool) -> None:
        """Record the newest frame of a source."""
        with self._lock:
            self._newest[source] = _Newest(time_s, captured_ns, is_live)

    def note(self, message: EventMessage, at_s: Mapping[int, float] | None = None) -> Noted:
        """Start, end or mark an event.

        Args:
            message: what happens.
            at_s: the time of each source that the user sees; None: of the newest frames.

        Raises:
            EventRefused: it contradicts earlier ones, or there is no such source, or no frame yet.
            SinkError: it cannot be written.
        """
        with self._lock:
            times_s = self._times(message, at_s)
            if message.state == "start":
                self._start(message.label, times_s)
            elif message.state == "mark":
                self._write(
                    [self._row(message.label, one, now_s, now_s + MARK_S, "mark") for one, now_s in times_s.items()]
                )
            else:
                times_s = self._end(message.label, times_s)
            return Noted(message, times_s)

    def open_events(self) -> dict[str, float]:
        """Return the labels of the events that have not ended, and the seconds since each began."""
        with self._lock:
            return {label: max(0.0, self._now_s(one) - start_s) for (label, one), start_s in self._open.items()}

    def _times(self, message: EventMessage, at_s: Mapping[int, float] | None) -> dict[int, float]:
        if self._has_ended:
            raise EventRefused("the run has ended. Fix: start it again")
        if message.source is not None and message.source >= len(self._videos):
            last = len(self._videos) - 1
            raise EventRefused(f"there is no source {message.source}. Fix: a source from 0 to {last}, or none for all")
        wanted = range(len(self._videos)) if message.source is None else [message.source]
        times_s = {one: self._now_s(one) for one in wanted if one in self._newest}
        if not times_s:
            raise EventRefused("there is no frame yet. Fix: wait for the first one")
        return times_s | {one: time_s for one, time_s in (at_s or {}).items() if one in times_s}

    def _now_s(self, source: int) -> float:
        newest = self._newest[source]
        passed_s = (self._now_ns() - newest.captured_ns) / 1e9 if newest.is_live else 0.0
        return newest.time_s + max(0.0, passed_s)

    def _start(self, label: str, times_s: dict[int, float]) -> None:
        for one in times_s:
            if (label, one) in self._open:
                began_s = self._open[label, one]
                raise EventRefused(f"{label} began at {began_s:.2f} s and has not ended. Fix: end it first")
        if len(self._open) + len(times_s) > MOST_OPEN:
            raise EventRefused(f"{MOST_OPEN} events have not ended. Fix: end some")
        self._open.update({(label, one): now_s for one, now_s in times_s.items()})

    def _end(self, label: str, times_s: dict[int, float]) -> dict[int, float]:
        """End the open events of a label, and return the times of their sources."""
        mine = {one: now_s for one, now_s in times_s.items() if (label, one) in self._open}
        if not mine:
            raise EventRefused(f"{label} has not begun. Fix: start it first")
        rows = [self._row(label, one, self._open[label, one], now_s, "event") for one, now_s in mine.items()]
        if any(row is None for row in rows):
            raise EventRefused(f"{label} would end with the frame that it began with. Fix: end it later, or mark it")
        self._write(rows)
        for one in mine:
            del self._open[label, one]
        return mine

    def _row(self, label: str, source: int, start_s: float, end_s: float, kind: str) -> Row | None:
        """Return a row of the file; None if the event has no duration."""
        start_s, end_s = round(start_s, _DIGITS), round(end_s, _DIGITS)
        if end_s <= start_s:
            return None
        return [start_s, end_s, label, kind, source, self._videos[source], self._run]

    def _write(self, found: Sequence[Row | None]) -> None:
        rows = [row for row in found if row is not None]
        if self._num_events + len(rows) > MOST_EVENTS:
            raise EventRefused(f"the file has {MOST_EVENTS:,} events. Fix: a new run with {_FIX}")
        try:
            if self._file is None:
                self._file = LinesFile(self.path, fix=_FIX, what="events")
                self._file.append(csv_text([list(COLUMNS)]))
            self._file.append(csv_text(rows))
        except SinkError as err:
            self.failure = err
            raise
        self._num_events += len(rows)

    def close(self, *, is_incomplete: bool) -> tuple[Path, ...]:
        """End the open events, close the file, and return it if there is one. Later events are refused.

        Args:
            is_incomplete: whether the run has failed; see `LinesFile.close`.

        Raises:
            SinkError: events are missing.
        """
        with self._lock:
            self._has_ended = True
            still = [
                self._row(label, one, start_s, self._newest[one].time_s, "event")
                for (label, one), start_s in self._open.items()
            ]
            self._open.clear()
            if any(still):
                self._write(still)
            return () if self._file is None else self._file.close(is_incomplete=is_incomplete)


def _require_writable(path: Path) -> None:
    """Raise SinkError if a file cannot be created there."""
    part = unfinished_path(replaceable(path, fix=_FIX))
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        part.unlink()
    except OSError as err:
        raise SinkError(f"cannot write {path}: {err.strerror}. Fix: {_FIX}") from err
