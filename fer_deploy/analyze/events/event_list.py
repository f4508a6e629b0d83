"""Event: a stretch of a video with a label; read from a CSV of the user, of BORIS, ELAN or BIDS."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.analyze.events.boris_events import (
    BORIS_COLUMNS,
    is_start_stop,
    paired,
    require_one_file,
    video_of,
    without_preamble,
)
from fer_deploy.analyze.events.elan_text import is_without_labels, labeled
from fer_deploy.analyze.events.spans import SPAN_COLUMNS, require_columns, span_of
from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import Line, UserCsv, read_rows, table_of
from fer_deploy.live.file_names import file_and_stream

LABEL_COLUMNS: Final = dict.fromkeys(("label", "event", "trial_type", "behavior", "annotation"), "label")
"""Names of the column label: ours, those of BIDS (trial_type), BORIS (Behavior) and ELAN (Annotation)."""
_ALIASES: Final = {**SPAN_COLUMNS, **BORIS_COLUMNS, **LABEL_COLUMNS}


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
    """Read a CSV with the columns start, end or duration, label, and optionally video; or an export of BORIS or ELAN.

    Raises:
        ConfigError: it cannot be read, a column is missing, a time is none, or an event ends before it starts.
    """
    raw = read_rows(path)
    table = labeled(raw) if is_without_labels(raw) else table_of(without_preamble(raw), _ALIASES)
    if "state" in table.columns:
        require_one_file(table)
    table = paired(table) if is_start_stop(table) else table
    require_columns(table, "label", example="start,end,label or start,duration,label")
    return EventList(path, table.sha256, tuple(_event(table, line) for line in table.lines))


def _event(table: UserCsv, line: Line) -> Event:
    start_s, end_s = span_of(table, line, "event", has_points=True)
    label = line.cells["label"]
    if not label:
        raise table.fault(line.number, "no label", "a name for the event in the column label")
    return Event(label, start_s, end_s, video_of(line.cells.get("video", "")), line.number)
