"""PeopleFile: names of people, and who is dropped, read from a CSV."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_deploy.errors import ConfigError

_COLUMNS: Final = ("video", "person", "track", "name", "drop")
_DELIMITERS: Final = (",", ";", "\t")
_YES: Final = ("1", "x", "yes", "true")
_NO: Final = ("", "0", "no", "false")


@dataclass(frozen=True)
class Entry:
    """A line of the file: the name of a person or of a track, or that it is dropped.

    Attributes:
        line: in the file, for messages.
        video: file name, or name of the video's folder; empty: every video.
        person, track: number in the tables; one of them is None.
        name: empty if the person is dropped.
        is_dropped: whether the person is left out of summary, timeline and report.
    """

    line: int
    video: str
    person: int | None
    track: int | None
    name: str
    is_dropped: bool


@dataclass(frozen=True)
class PeopleFile:
    """The content of a people.csv."""

    path: Path
    entries: tuple[Entry, ...]

    @classmethod
    def load(cls, path: Path) -> "PeopleFile":
        """Read a CSV with a header; comma, semicolon or tab separates.

        Raises:
            ConfigError: it cannot be read, or a line names nobody.
        """
        try:
            lines = path.read_bytes().decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as err:
            why = getattr(err, "strerror", None) or err
            raise ConfigError(f"cannot read the people {path}: {why}. Fix: a CSV in UTF-8 with a header") from err
        head = lines[0] if lines else ""
        rows = csv.DictReader(lines, delimiter=max(_DELIMITERS, key=head.count))
        names = [name.strip().lower() for name in rows.fieldnames or ()]
        if not {"person", "track"} & set(names) or not {"name", "drop"} & set(names):
            raise ConfigError(
                f"{path} has the columns {', '.join(names) or '(none)'}, expected person or track, and name or drop. "
                "Fix: a header such as person,name,drop"
            )
        rows.fieldnames = names
        entries = []
        for row in rows:
            cells = {name: (row.get(name) or "").strip() for name in _COLUMNS}
            if any(cells.values()):
                entries.append(_entry(cells, f"{path}, line {rows.line_num}", rows.line_num))
        return cls(path, tuple(entries))


def _entry(cells: Mapping[str, str], where: str, line: int) -> Entry:
    person, track = (_number(cells, name, where) for name in ("person", "track"))
    if (person is None) == (track is None):
        raise ConfigError(f"{where}: expected a person or a track. Fix: write the number of one of them")
    drop = cells["drop"].lower()
    if drop not in (*_YES, *_NO):
        raise ConfigError(f"{where}: drop is {cells['drop']!r}, expected yes or no")
    if (drop in _YES) == bool(cells["name"]):
        told = "both a name and drop" if cells["name"] else "neither a name nor drop"
        raise ConfigError(f"{where}: {told}. Fix: write one of them, or leave the line out")
    return Entry(line, cells["video"], person, track, cells["name"], drop in _YES)


def _number(cells: Mapping[str, str], name: str, where: str) -> int | None:
    text = cells[name]
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{where}: {name} is {text!r}, expected a number from 1, as in report and tables")
    return int(text)
