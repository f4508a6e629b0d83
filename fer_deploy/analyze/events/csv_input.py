"""Read a user's CSV: any usual separator, and every fault with its line."""

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.errors import ConfigError

MAX_BYTES: Final = 50_000_000
_SEPARATORS: Final = ("\t", ";", ",")


class Line(NamedTuple):
    """One row of a CSV: its line in the file, from 1, and its cells by the name of their column."""

    number: int
    cells: dict[str, str]


class CsvInput(NamedTuple):
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


def read_csv(path: Path, *, aliases: Mapping[str, str] | None = None) -> CsvInput:
    """Read a file with a header; its separator is a tab, a semicolon or a comma, whichever the header has.

    Args:
        path: of the file; UTF-8, with or without a byte order mark.
        aliases: other names of columns, in lower case, and what they mean.

    Raises:
        ConfigError: it cannot be read, has no header or no rows, a column twice, or a row with too many cells.
    """
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8. Fix: save it as UTF-8") from err
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((sign for sign in _SEPARATORS if sign in header), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as err:
        raise ConfigError(f"{path}, line {reader.line_num}: {err}. Fix: that line") from err
    filled = [(number, row) for number, row in rows if any(row)]
    if len(filled) < 2:
        raise ConfigError(f"{path} has {len(filled)} rows, expected a header and at least one row. Fix: add them")
    first, names = filled[0]
    columns = tuple((aliases or {}).get(name.lower(), name) for name in names)
    known = CsvInput(path, hashlib.sha256(content).hexdigest(), columns, ())
    twice = next((name for index, name in enumerate(columns) if name in columns[:index]), None)
    if twice is not None or "" in columns:
        problem = "a column has no name" if twice is None or not twice else f"two columns mean {twice!r}"
        raise known.fault(first, problem, "a name of its own for each column")
    return known._replace(lines=tuple(_line(known, number, row) for number, row in filled[1:]))


def _line(known: CsvInput, number: int, row: list[str]) -> Line:
    if any(row[len(known.columns) :]):
        problem = f"{len(row)} cells, but the header has {len(known.columns)}"
        raise known.fault(number, problem, 'put quotes around a cell that has the separator: "a, b"')
    padded = row + [""] * (len(known.columns) - len(row))
    return Line(number, dict(zip(known.columns, padded, strict=False)))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise ConfigError(f"cannot read {path}: {err.strerror or err}. Fix: check its path") from err
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} has more than {MAX_BYTES:,} bytes. Fix: a table of events or participants")
    return content
