"""Codes: what a person saw in a video, read from a CSV."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_deploy.errors import ConfigError

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
_DELIMITERS: Final = (",", ";", "\t")


@dataclass(frozen=True)
class Code:
    """A label that a person gave to a face, in one frame or in an interval.

    Attributes:
        line: in the file, for messages.
        video: name of the video; empty if the file does not say.
        label: in lower case.
        frame: number of the frame, or None.
        start_s, end_s: seconds of the video, the end exclusive; equal for one moment, None if `frame` says which.
        person, track: whose face it is, as in the tables; None if the file does not say.
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
    """Read codes from a CSV with a header; comma, semicolon or tab separates. Empty lines are left out.

    Raises:
        ConfigError: it cannot be read, or a line is no code.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        why = getattr(err, "strerror", None) or err
        raise ConfigError(f"cannot read the codes {path}: {why}. Fix: a CSV in UTF-8 with a header") from err
    lines = text.splitlines()
    head = lines[0] if lines else ""
    rows = csv.DictReader(lines, delimiter=max(_DELIMITERS, key=head.count))
    names = [_OTHER_NAMES.get(name.strip().lower(), name.strip().lower()) for name in rows.fieldnames or ()]
    if "label" not in names:
        raise ConfigError(
            f"{path} has the columns {', '.join(names) or '(none)'}, and none is label. "
            f"Fix: a header with label and some of {', '.join(name for name in _COLUMNS if name != 'label')}"
        )
    rows.fieldnames = names
    codes = []
    for row in rows:
        cells = {name: (row.get(name) or "").strip() for name in _COLUMNS}
        if any(cells.values()):
            codes.append(_code(cells, f"{path}, line {rows.line_num}", rows.line_num))
    if not codes:
        raise ConfigError(f"{path} has no codes. Fix: a line for each coded moment below the header")
    return codes


def _code(cells: Mapping[str, str], where: str, line: int) -> Code:
    if not cells["label"]:
        raise ConfigError(f"{where}: no label. Fix: write one, or leave the line out")
    frame, person, track = (_whole(cells, name, where) for name in ("frame", "person", "track"))
    start_s, end_s = _times(cells, where)
    if frame is not None and start_s is not None:
        raise ConfigError(f"{where}: both a frame and a time. Fix: leave one of them empty")
    if frame is None and start_s is None:
        raise ConfigError(f"{where}: neither frame nor time_s, nor start_s and end_s. Fix: write one of them")
    box = [_number(cells, name, where) for name in _BOX]
    given = [value for value in box if value is not None]
    if given and (len(given) < len(box) or given[0] >= given[2] or given[1] >= given[3]):
        raise ConfigError(f"{where}: x1, y1, x2, y2 are no box. Fix: left, top, right, bottom in pixels of the frame")
    if given and start_s != end_s:
        raise ConfigError(f"{where}: a box with an interval; faces move. Fix: person or track in place of the box")
    if sum((person is not None, track is not None, bool(given))) > 1:
        raise ConfigError(f"{where}: more than one of person, track and box. Fix: leave all but one empty")
    whose = (given[0], given[1], given[2], given[3]) if given else None
    names = cells["video"], cells["label"].lower()
    return Code(line, *names, frame, start_s, end_s, person, track, whose, cells["participant"])


def _times(cells: Mapping[str, str], where: str) -> tuple[float | None, float | None]:
    at_s, start_s, end_s = (_number(cells, name, where) for name in ("time_s", "start_s", "end_s"))
    if (start_s is None) != (end_s is None) or (at_s is not None and start_s is not None):
        raise ConfigError(f"{where}: expected time_s alone, or start_s and end_s. Fix: fill in one or the other")
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise ConfigError(
            f"{where}: the interval ends at {end_s:g} s and starts at {start_s:g} s. Fix: end after start"
        )
    return (at_s, at_s) if start_s is None else (start_s, end_s)


def _number(cells: Mapping[str, str], name: str, where: str) -> float | None:
    if not cells[name]:
        return None
    try:
        value = float(cells[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{where}: {name} is {cells[name]!r}, expected a number from 0, such as 12.5")
    return value


def _whole(cells: Mapping[str, str], name: str, where: str) -> int | None:
    value = _number(cells, name, where)
    if value is not None and value != int(value):
        raise ConfigError(f"{where}: {name} is {cells[name]!r}, expected a whole number")
    return None if value is None else int(value)
