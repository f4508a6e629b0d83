"""Codes: what a person saw in a video, read from a CSV."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import Line, UserCsv, read_csv

_COLUMNS: Final = (
    "video",
    "label",
    "person",
    "track",
    "participant",
    "frame",
    "time_s",
    "start_s",
    "end_s",
    "x1",
    "y1",
    "x2",
    "y2",
)
_OTHER_NAMES: Final = {"time": "time_s", "start": "start_s", "end": "end_s"}
_BOX: Final = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Code:
    """A label that a person gave to a face, in one frame or in an interval.

    Attributes:
        line: in the file, for messages.
        video: name of the video; empty if the file does not say.
        label: in lower case.
        frame: number of the frame, or None.
        start_s, end_s: seconds of the video, the end exclusive; equal for one moment, None if `frame` says which.
        person, track: whose face it is, the person as in the report; None if the file does not say.
        box_xyxy: the face in pixels of the frame, or None.
        participant: who that is in all videos; empty if the file does not say.
    """

    line: int
    video: str
    label: str
    frame: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    person: int | None = None
    track: int | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    participant: str = ""

    @property
    def is_interval(self) -> bool:
        """Whether it codes every frame of an interval."""
        return self.start_s != self.end_s


def codes_from_csv(path: Path) -> list[Code]:
    """Read codes from a CSV with the column label, and columns that say which face in which frames.

    Raises:
        ConfigError: it cannot be read, or a line is no code.
    """
    table = read_csv(path, {**{name: name for name in _COLUMNS}, **_OTHER_NAMES})
    if "label" not in table.columns:
        raise ConfigError(
            f"{path} has the columns {', '.join(table.columns)}, and none is label. "
            f"Fix: a first line with label and some of {', '.join(name for name in _COLUMNS if name != 'label')}"
        )
    return [_code(table, line) for line in table.lines]


def _code(table: UserCsv, line: Line) -> Code:
    cells = {name: line.cells.get(name, "") for name in _COLUMNS}
    if not cells["label"]:
        raise table.fault(line.number, "no label", "write one, or leave the line out")
    frame, person, track = (table.whole(line, name) for name in ("frame", "person", "track"))
    start_s, end_s = _times(table, line)
    if frame is not None and start_s is not None:
        raise table.fault(line.number, "both a frame and a time", "leave one of them empty")
    if frame is None and start_s is None:
        raise table.fault(line.number, "neither frame nor time_s, nor start_s and end_s", "write one of them")
    box = [table.number(line, name) for name in _BOX]
    given = [value for value in box if value is not None]
    if given and (len(given) < len(box) or given[0] >= given[2] or given[1] >= given[3]):
        raise table.fault(line.number, "x1, y1, x2, y2 are no box", "left, top, right, bottom in pixels of the frame")
    if given and start_s != end_s:
        raise table.fault(line.number, "a box with an interval; faces move", "person or track in place of the box")
    if sum((person is not None, track is not None, bool(given))) > 1:
        raise table.fault(line.number, "more than one of person, track and box", "leave all but one empty")
    whose = (given[0], given[1], given[2], given[3]) if given else None
    names = cells["video"], cells["label"].lower()
    return Code(line.number, *names, frame, start_s, end_s, person, track, whose, cells["participant"])


def _times(table: UserCsv, line: Line) -> tuple[float | None, float | None]:
    at_s, start_s, end_s = (table.seconds(line, name) for name in ("time_s", "start_s", "end_s"))
    if (start_s is None) != (end_s is None) or (at_s is not None and start_s is not None):
        raise table.fault(line.number, "expected time_s alone, or start_s and end_s", "fill in one or the other")
    if start_s is not None and end_s is not None and end_s <= start_s:
        problem = f"the interval ends at {end_s:g} s and starts at {start_s:g} s"
        raise table.fault(line.number, problem, "an end after the start")
    return (at_s, at_s) if start_s is None else (start_s, end_s)
