"""Event: a stretch of a video with a label; read from a CSV of the user, of BORIS or of BIDS."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import TIMES, Line, UserCsv, read_csv
from fer_deploy.live.file_names import file_and_stream

_ALIASES: Final = {
    **dict.fromkeys(("start", "onset", "start (s)", "begin"), "start"),
    **dict.fromkeys(("end", "stop", "stop (s)", "offset"), "end"),
    **dict.fromkeys(("duration", "duration (s)"), "duration"),
    **dict.fromkeys(("label", "event", "trial_type", "behavior"), "label"),
    **dict.fromkeys(("video", "media file"), "video"),
}
"""Names of columns: ours, those of BIDS (onset, duration, trial_type) and of BORIS (Behavior, Start (s), Stop (s))."""
_AGREE_S: Final = 0.01


class Event(NamedTuple):
    """A stretch of a video.

    Attributes:
        label: such as "stimulus A"; several events may have the same.
        start_s: seconds from the beginning of the video.
        end_s: seconds; exclusive.
        video: name of the only video that it belongs to; empty: all.
        line: in the user's file; 0 if it has none.
    """

    label: str
    start_s: float
    end_s: float
    video: str = ""
    line: int = 0

    @property
    def duration_s(self) -> float:
        """Seconds from start to end."""
        return self.end_s - self.start_s


class EventList(NamedTuple):
    """Events in the order of their file, the file, and its SHA-256."""

    path: Path
    sha256: str
    events: tuple[Event, ...]

    def of_video(self, video: Path) -> tuple[Event, ...]:
        """Return the events of a video.

        Raises:
            ConfigError: it has none.
        """
        mine = tuple(event for event in self.events if not event.video or is_name_of(event.video, video))
        if not mine:
            raise ConfigError(
                f"{self.path} has no event of {video.name}: its column video names other files. Fix: a row with "
                f"{video.name} in the column video, or leave this cell empty for an event of all videos"
            )
        return mine


def is_name_of(name: str, video: Path) -> bool:
    """Return whether a cell names a video: by its file name, with or without the suffix; folders do not count."""
    file, _ = file_and_stream(video)
    return re.split(r"[\\/]", name)[-1] in (video.name, file.name, file.stem)


def read_events(path: Path) -> EventList:
    """Read a CSV with the columns start, end or duration, label, and optionally video.

    Raises:
        ConfigError: it cannot be read, a column is missing, a time is none, or an event has no duration.
    """
    table = read_csv(path, _ALIASES)
    has_end = {"end", "duration"} & set(table.columns)
    missing = [name for name in ("start", "label") if name not in table.columns] + ([] if has_end else ["end"])
    if missing:
        raise ConfigError(
            f"{path} has the columns {', '.join(table.columns)}, expected also {', '.join(missing)}. "
            "Fix: a first line such as start,end,label or start,duration,label"
        )
    return EventList(path, table.sha256, tuple(_event(table, line) for line in table.lines))


def _event(table: UserCsv, line: Line) -> Event:
    start_s = table.seconds(line, "start")
    end_s, duration_s = (table.seconds(line, name) for name in ("end", "duration"))
    label = line.cells["label"]
    if start_s is None:
        raise table.fault(line.number, "no start", f"{TIMES} in the column start")
    if not label:
        raise table.fault(line.number, "no label", "a name for the event in the column label")
    if end_s is None and duration_s is None:
        raise table.fault(line.number, "neither end nor duration", f"{TIMES} in one of the two")
    if end_s is None:
        end_s = start_s + (duration_s or 0.0)
    elif duration_s is not None and abs(end_s - start_s - duration_s) > _AGREE_S:
        problem = f"{end_s:g} s minus {start_s:g} s is not the duration, {duration_s:g} s"
        raise table.fault(line.number, problem, "correct one of the three, or leave end or duration empty")
    if end_s <= start_s:
        problem = f"the event ends at {end_s:g} s, but starts at {start_s:g} s"
        raise table.fault(line.number, problem, "an end after the start; an event needs a duration")
    return Event(label, start_s, end_s, line.cells.get("video", ""), line.number)
