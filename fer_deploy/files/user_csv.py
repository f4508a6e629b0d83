"""Read a user's CSV: any usual separator, and every fault with its line."""

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.errors import ConfigError

MAX_BYTES: Final = 50_000_000
_SEPARATORS: Final = ("\t", ";", ",")
_REMARKS: Final = ("#", '"#')
"""Begin of the lines in which ELAN names the media files, above the rows."""
_SEPARATOR_LINE: Final = re.compile(r"sep=([\t;,])", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+([.,]\d+)?")
_CLOCK: Final = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d+)?)")
_MINUS: Final = ("-", "\u2212")
NOT_THERE: Final = ("na", "n/a", "nan")
"""What BIDS, BORIS and R write where there is no value, in lower case."""
TIMES: Final = "seconds (62.5) or a clock time (1:02.5, 0:01:02.500)"
"""What `UserCsv.seconds` reads."""


class Line(NamedTuple):
    """One row of a CSV: its line in the file, from 1, and its cells by the name of their column."""

    number: int
    cells: dict[str, str]


class UserCsv(NamedTuple):
    """A CSV that was read.

    Attributes:
        path: the file.
        sha256: digest of its bytes.
        columns: the header.
        lines: rows that are not empty.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def fault(self, line: int, problem: str, fix: str) -> ConfigError:
        """Return the error for a fault in a line."""
        return ConfigError(f"{self.path}, line {line}: {problem}. Fix: {fix}")

    def seconds(self, line: Line, column: str) -> float | None:
        """Return a cell's time in seconds; None if it is empty, one of `NOT_THERE`, or the column is missing.

        Raises:
            ConfigError: it is no time.
        """
        text = line.cells.get(column, "")
        if not text or text.lower() in NOT_THERE:
            return None
        seconds = seconds_from_text(text)
        if seconds is None and seconds_from_text(text[1:]) is not None and text[0] in _MINUS:
            problem = f"{column} is {text[:40]!r}, before the video begins"
            raise self.fault(line.number, problem, "times from the beginning of the video, which is 0")
        if seconds is None:
            raise self.fault(line.number, f"{column} is {text[:40]!r}, which is no time", TIMES)
        return seconds

    def number(self, line: Line, column: str) -> float | None:
        """Return a number from 0, with a decimal point or comma; None if the cell is empty or the column is missing.

        Raises:
            ConfigError: it is no such number.
        """
        text = line.cells.get(column, "")
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            raise self.fault(line.number, f"{column} is {text[:40]!r}", "a number from 0, such as 12.5")
        return float(text.replace(",", "."))

    def whole(self, line: Line, column: str, *, least: int = 0) -> int | None:
        """Return a whole number, from `least` on; None if the cell is empty or the column is missing.

        Raises:
            ConfigError: it is no such number.
        """
        text = line.cells.get(column, "")
        if not text:
            return None
        if not re.fullmatch(r"\d{1,18}(\.0+)?", text) or float(text) < least:  # spreadsheets write 3.0
            raise self.fault(line.number, f"{column} is {text[:40]!r}", f"a whole number from {least}")
        return int(float(text))


class RawCsv(NamedTuple):
    """Cells of a file before anything is said about them.

    Attributes:
        path: the file.
        sha256: digest of its bytes.
        separator: of the cells.
        rows: line in the file, from 1, and cells without spaces around them, of each row that is not empty.
    """

    path: Path
    sha256: str
    separator: str
    rows: list[tuple[int, list[str]]]


def read_rows(path: Path) -> RawCsv:
    """Read the cells of a file; its separator is a tab, a semicolon or a comma, whichever its first row has.

    Excel's first line `sep=;` names it, too. UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8. Fix: save it as UTF-8") from err
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith(_REMARKS)), "")
    named = _SEPARATOR_LINE.fullmatch(first.strip("\r\n \ufeff"))
    separator = named[1] if named else next((sign for sign in _SEPARATORS if sign in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as err:
        raise ConfigError(f"{path}, line {reader.line_num}: {err}. Fix: that line") from err
    filled = [(number, row) for number, row in rows if any(row)]
    return RawCsv(path, hashlib.sha256(content).hexdigest(), separator, filled[1:] if named else filled)


def read_csv(path: Path, columns: Mapping[str, str] | Iterable[str] = (), *, min_rows: int = 1) -> UserCsv:
    """Read a file with a header; see `read_rows` and `table_of`."""
    return table_of(read_rows(path), columns, min_rows=min_rows)


def table_of(raw: RawCsv, columns: Mapping[str, str] | Iterable[str] = (), *, min_rows: int = 1) -> UserCsv:
    """Return the rows below a header, which is the first row.

    Args:
        raw: the cells.
        columns: names that may be in upper case, too: as they are, or from each of them to what it means. Other columns
            keep the name in the file.
        min_rows: below the header, without empty ones.

    Raises:
        ConfigError: it has no header or too few rows, a column twice, or a row with too many cells.
    """
    path, filled = raw.path, raw.rows
    if len(filled) < 1 + min_rows:
        more = " and at least one row" if min_rows else ""
        raise ConfigError(f"{path} has {len(filled)} rows, expected a header{more}. Fix: add what is missing")
    first, names = filled[0]
    meant = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    found = tuple(meant.get(name.lower(), name) for name in names)
    known = UserCsv(path, raw.sha256, found, ())
    twice = next((name for index, name in enumerate(found) if name in found[:index]), None)
    if twice is not None or "" in found:
        problem = "a column has no name" if twice is None or not twice else f"two columns mean {twice!r}"
        raise known.fault(first, problem, "a name of its own for each column")
    return known._replace(lines=tuple(_line(known, number, row, raw.separator) for number, row in filled[1:]))


def _line(known: UserCsv, number: int, row: list[str], separator: str) -> Line:
    if any(row[len(known.columns) :]):
        problem = f"{len(row)} cells, but the header has {len(known.columns)}"
        fix = f'put quotes around a cell that has the separator: "a{separator} b"'
        if separator == "," and sum(map(str.isdecimal, row)) > 2:
            fix = 'numbers with decimal commas need semicolons between the columns, or quotes: "1,5"'
        raise known.fault(number, problem, fix)
    padded = row + [""] * (len(known.columns) - len(row))
    return Line(number, dict(zip(known.columns, padded, strict=False)))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise ConfigError(f"cannot read {path}: {err.strerror or err}. Fix: check its path") from err
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} has more than {MAX_BYTES:,} bytes. Fix: is it the right file?")
    return content


def seconds_from_text(text: str) -> float | None:
    """Return seconds from "62.5", "62,5", "1:02.5" or "0:01:02.500"; None for any other text."""
    if _NUMBER.fullmatch(text):
        seconds = float(text.replace(",", "."))
        return seconds if math.isfinite(seconds) else None
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        return None
    hours, minutes, rest = int(clock[1] or 0), int(clock[2]), float(clock[3].replace(",", "."))
    is_valid = rest < 60 and (clock[1] is None or minutes < 60)
    return hours * 3600 + minutes * 60 + rest if is_valid else None
