"""PeopleFile: names of people, and who is dropped, read from a CSV."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import Line, UserCsv, read_csv

_COLUMNS: Final = ("video", "person", "track", "name", "drop")
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
    """The content of a people.csv, and the SHA-256 of the file."""

    path: Path
    sha256: str
    entries: tuple[Entry, ...]

    @classmethod
    def load(cls, path: Path) -> "PeopleFile":
        """Read a CSV with the columns person or track, and name or drop, and optionally video.

        Raises:
            ConfigError: it cannot be read, a column is missing, or a line names nobody.
        """
        table = read_csv(path, _COLUMNS, min_rows=0)
        if not {"person", "track"} & set(table.columns) or not {"name", "drop"} & set(table.columns):
            raise ConfigError(
                f"{path} has the columns {', '.join(table.columns)}, expected person or track, and name or drop. "
                "Fix: a first line such as person,name,drop"
            )
        return cls(path, table.sha256, tuple(_entry(table, line) for line in table.lines))


def _entry(table: UserCsv, line: Line) -> Entry:
    cells = {name: line.cells.get(name, "") for name in _COLUMNS}
    person, track = (table.whole(line, name, least=1) for name in ("person", "track"))
    if (person is None) == (track is None):
        raise table.fault(line.number, "expected a person or a track", "write the number of one of them")
    drop = cells["drop"].lower()
    if drop not in (*_YES, *_NO):
        raise table.fault(line.number, f"drop is {cells['drop'][:40]!r}", "yes or no")
    if (drop in _YES) == bool(cells["name"]):
        told = "both a name and drop" if cells["name"] else "neither a name nor drop"
        raise table.fault(line.number, told, "write one of them, or leave the line out")
    return Entry(line.number, cells["video"], person, track, cells["name"], drop in _YES)
