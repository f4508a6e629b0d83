"""Read the rows of a CSV file with their line numbers.

Columns are separated by commas, semicolons, tabs or bars; the text is UTF-8 with or without a byte-order mark, UTF-16
or UTF-32. An unclosed quote would merge many rows into one, so it is an error that names the line.
"""

import _csv  # the type of a reader
import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from fer_train.errors import DataError

MAX_CELL = 1_000_000
"""Largest number of characters in one cell; the pixels of a face have about 9,000."""
_DELIMITERS = ",;\t|"
_HEAD = 65_536
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WITHOUT_MARK: dict[tuple[bool, ...], str] = {
    (True, False, True, False): "utf-16-le",
    (False, True, False, True): "utf-16-be",
    (True, False, False, False): "utf-32-le",
    (False, False, False, True): "utf-32-be",
}
"""Encoding by which bytes of each four are not always zero: the letters of a header are ASCII."""
_OPEN_QUOTE = 'a quote (") opens a field that does not end on this row, so that later rows would be read as part of it'


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        line: line number of the row's beginning, counted from 1.
        cells: cells in the order of the header.
    """

    line: int
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """An open table.

    Attributes:
        columns: cells of the header, stripped, in lower case.
        rows: the rows after the header, without empty lines; read on demand, once.
    """

    columns: list[str]
    rows: Iterator[Row]


@contextmanager
def open_table(path: Path, *, fix: str) -> Iterator[Table]:
    """Open a text file as a table; the first row that is not empty is the header.

    Args:
        path: the file.
        fix: end of every error message.

    Raises:
        DataError: raised by `rows`: an unclosed quote, text after a closing quote, or a cell that is too long; the
            message names the line.
        OSError: the file is not readable.
    """
    with open_text(path) as file:
        delimiter, num_read = _find_delimiter(file)
        csv.field_size_limit(MAX_CELL)
        rows = _read_rows(csv.reader(file, delimiter=delimiter, strict=True), path, fix, num_read)
        header = next(rows, Row(1, []))
        columns = [cell.strip().lower() for cell in header.cells]
        yield Table(columns, _without_swallowed(rows, path, delimiter, len(columns), fix))


def open_text(path: Path) -> TextIO:
    """Open a text file in its own encoding, without its byte-order mark; invalid bytes become U+FFFD."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return path.open(newline="", encoding=find_encoding(head), errors="replace")


def find_encoding(head: bytes) -> str:
    """Return the name of the encoding of a text that begins with these bytes; UTF-8 if nothing else matches."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    start = head[:100]
    return _WITHOUT_MARK.get(tuple(any(start[place::4]) for place in range(4)), "utf-8")


def _find_delimiter(file: TextIO) -> tuple[str, int]:
    """Return the column separator and the number of lines before the header; leave the file at the header."""
    line = file.readline(_HEAD)
    while line and not line.strip():
        line = file.readline(_HEAD)
    if line.lower().startswith("sep=") and len(line.strip("\r\n")) == 5:  # Excel's own first line
        return line[4], 1
    file.seek(0)
    return max(_DELIMITERS, key=line.count), 0


def _read_rows(reader: "_csv.Reader", path: Path, fix: str, num_read: int) -> Iterator[Row]:
    while True:
        line = num_read + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as err:
            closed = "expected after" in str(err)
            what = "text follows a closing quote, or an earlier quote was never closed" if closed else _OPEN_QUOTE
            raise DataError(f"{path} line {line}: {what} ({err}). {fix}") from err
        if cells:
            yield Row(line, cells)


def _without_swallowed(rows: Iterator[Row], path: Path, delimiter: str, width: int, fix: str) -> Iterator[Row]:
    """Yield the rows; raise DataError if a quoted cell seems to contain further rows."""
    for row in rows:
        for cell in row.cells:
            if "\n" not in cell and "\r" not in cell:
                continue
            if width > 1 and any(line.count(delimiter) >= width - 1 for line in cell.splitlines()[1:]):
                raise DataError(f"{path} line {row.line}: {_OPEN_QUOTE}. {fix}")
        yield row
