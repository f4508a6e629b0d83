"""EventSink: tell the log of events what the time of each source is, and finish its file."""

from collections.abc import Callable

from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.vision.types import FrameResult


class EventSink(Sink):
    """Writes no results: `EventLog` writes the events."""

    name = "events"
    needs_pixels = False
    live_capacity = 256

    def __init__(self, log: EventLog, is_live: Callable[[int], bool]) -> None:
        """Serve a log; `is_live` returns whether the source of a number is live."""
        self._log, self._is_live = log, is_live

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Note the time of a frame; raises SinkError if an event could not be written."""
        frame = result.frame
        self._log.note_frame(frame.source, frame.time_s, frame.captured_ns, is_live=self._is_live(frame.source))
        if self._log.failure is not None:
            raise self._log.failure
        return True

    def close(self) -> None:
        """End the open events, and finish the file."""
        self.files = self._log.close(is_incomplete=self.is_incomplete)
