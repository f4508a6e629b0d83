"""EventKeys: note events with the keys of the window, and show them in its picture."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import cv2

from fer_deploy.durations import duration_text
from fer_deploy.errors import FerDeployError
from fer_deploy.live.drawing.tags import FONT, ascii_text, pen_of, shortened
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.events.message import MOST_KEYS, EventMessage
from fer_deploy.live.sinks.base import Picture

MARK: Final = "mark"
KEYS_IN_WORDS: Final = "1 to 9 start and end an event, space marks a moment"
_SHOWN_S: Final = 2.0
_MOST_LETTERS: Final = 60
_GROUND: Final = (20, 20, 20)
_INK: Final = (255, 255, 255)


class EventKeys:
    """Keys 1 to 9 start and end the event of their number, space is a mark. Used by the window's thread."""

    def __init__(self, log: EventLog, now_s: Callable[[], float] = time.monotonic) -> None:
        """Note events in a log; `now_s` is the clock of what is shown for a moment."""
        self._log, self._now_s = log, now_s
        self._said, self._said_s = "", float("-inf")

    def press(self, key: int, at_s: Mapping[int, float] | None) -> None:
        """Handle a key: its code, and the time of each source in the picture; None: of the newest frames."""
        if key == ord(" "):
            self._note(EventMessage(MARK, "mark"), at_s)
        elif ord("1") <= key < ord("1") + MOST_KEYS:
            number = key - ord("1")
            label = self._log.names[number] if number < len(self._log.names) else f"event {number + 1}"
            self._note(EventMessage(label, "end" if label in self._log.open_events() else "start"), at_s)

    def _note(self, message: EventMessage, at_s: Mapping[int, float] | None) -> None:
        try:
            noted = self._log.note(message, at_s)
        except FerDeployError as err:  # a failure to write ends `EventSink`; the window goes on
            self._said = str(err)
        else:
            time_s = next(iter(noted.times_s.values()))
            what = {"start": "begins", "end": "ends", "mark": "at"}[message.state]
            self._said = f"{message.label} {what} {duration_text(time_s)}"
        self._said_s = self._now_s()

    def lines(self) -> list[str]:
        """Return what to show: the open events with their duration, and for a moment what the last key did."""
        lines = [
            f"{shortened(ascii_text(label), _MOST_LETTERS)}  {duration_text(seconds, decimals=0)}"
            for label, seconds in self._log.open_events().items()
        ]
        is_new = self._now_s() - self._said_s <= _SHOWN_S
        return [*lines, shortened(ascii_text(self._said), _MOST_LETTERS)] if is_new else lines

    def drawn(self, picture: Picture) -> Picture:
        """Return a picture (H, W, 3) with the lines at its lower edge; the picture itself if there are none."""
        lines = self.lines()
        if not lines:
            return picture
        shown = picture.copy()
        font = max(0.4, picture.shape[0] / 900)
        height = round(34 * font)
        for number, line in enumerate(reversed(lines)):
            bottom = picture.shape[0] - number * height
            cv2.rectangle(shown, (0, bottom - height), (round(len(line) * 18 * font) + height, bottom), _GROUND, -1)
            at = height // 3, bottom - height // 3
            cv2.putText(shown, line, at, FONT, font, _INK, pen_of(font), cv2.LINE_AA)
        return shown
