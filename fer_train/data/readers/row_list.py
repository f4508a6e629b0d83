"""Read lists of rows to exclude: exclude.csv of fer-train audit, or a text file with one row number per line.

A row number identifies a face only in the file that the list was made for. If a list has labels or splits, they must
equal those of the data.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import LABEL_SETS, Faces
from fer_train.data.readers.table import Row, open_table, open_text
from fer_train.errors import DataError

_FIX = "Fix: exclude.csv of fer-train audit, or a text file with one row number per line, counted from 0"
_MAX_DIGITS = 18  # more would not fit in int64
_LABEL_COLUMNS = ("label", "emotion")
_SPLIT_COLUMNS = ("split", "usage")


@dataclass(frozen=True)
class ListedRows:
    """Content of a list of rows; all sequences have the same length.

    Attributes:
        path: the file.
        rows: (n,) int64, row numbers counted from 0.
        lines: line numbers in the file, counted from 1.
        labels: label of each row in the list, a name or a number; "" if it has none.
        splits: split of each row in the list; "" if it has none.
    """

    path: Path
    rows: NDArray[np.int64]
    lines: list[int]
    labels: list[str]
    splits: list[str]


def read_row_numbers(path: Path) -> NDArray[np.int64]:
    """Return the row numbers of `read_row_list`, (n,) int64."""
    return read_row_list(path).rows


def read_row_list(path: Path) -> ListedRows:
    """Read a table with a column `row`, such as audit's exclude.csv, or one number per line (# begins a comment).

    Raises:
        DataError: the file is missing, or a line is not a row number (named by line).
    """
    try:
        with open_text(path) as file:
            first = next((line for line in map(_without_comment, file) if line), "")
        if first.isdecimal() or (path.suffix.lower() not in (".csv", ".tsv") and "row" not in first.lower()):
            return _read_lines(path)
        return _read_table(path)
    except OSError as err:
        raise DataError(f"cannot read row numbers from {path}: {err}. {_FIX}") from err


def check_rows(listed: ListedRows, faces: Faces, *, flag: str) -> None:
    """Check that a list was made for these data.

    Args:
        listed: the list.
        faces: all rows of the data, with row numbers and their original labels.
        flag: flag that named the list, such as "--exclude".

    Raises:
        DataError: the label or the split of a row differs from the data, or a number is beyond the last row.
    """
    last = int(faces.rows.max())
    if len(beyond := np.flatnonzero(listed.rows > last)):
        first = int(beyond[0])
        raise DataError(
            f"{flag} {listed.path} line {listed.lines[first]} names row {listed.rows[first]:,}, the last row of this "
            f"--data is {last:,}. The list was made for another file. {_fix_of(flag)}"
        )
    places = dict(zip(faces.rows.tolist(), range(len(faces)), strict=True))
    names = LABEL_SETS[faces.label_set]
    for what, listed_values, values in (
        ("label", listed.labels, [names[label] for label in faces.labels]),
        ("split", listed.splits, faces.splits.tolist()),
    ):
        pairs = [
            (i, listed_values[i].strip(), str(values[places[row]]))
            for i, row in enumerate(listed.rows.tolist())
            if listed_values[i].strip() and row in places
        ]
        wrong = [(i, seen, there) for i, seen, there in pairs if not _is_same(seen, there, names)]
        if wrong:
            i, seen, there = wrong[0]
            raise DataError(
                f"{flag} {listed.path} line {listed.lines[i]}: the {what} of row {listed.rows[i]:,} is {seen[:40]!r} "
                f"in the list and {there!r} in this --data ({len(wrong):,} of {len(pairs):,} rows differ). The list "
                f"was made for another file. {_fix_of(flag)}"
            )


def _fix_of(flag: str) -> str:
    return f"Fix: the list that fer-train audit writes for this --data, or leave {flag} out"


def _is_same(seen: str, there: str, names: tuple[str, ...]) -> bool:
    """Compare names without case; a number means the label with that number."""
    if seen.isdecimal() and len(seen) < 3 and there in names:
        return int(seen) < len(names) and names[int(seen)] == there
    return seen.lower() == there.lower()


def _without_comment(line: str) -> str:
    return line.split("#", 1)[0].strip()


def _read_lines(path: Path) -> ListedRows:
    with open_text(path) as file:
        lines = [(number, text) for number, line in enumerate(file, start=1) if (text := _without_comment(line))]
    rows = np.array([_parse(path, number, text) for number, text in lines], dtype=np.int64)
    blank = [""] * len(rows)
    return ListedRows(path, rows, [number for number, _ in lines], blank, blank)


def _read_table(path: Path) -> ListedRows:
    with open_table(path, fix=_FIX) as table:
        columns = table.columns
        if columns and "row" not in columns:
            raise DataError(f"{path} has no column 'row'; it has {', '.join(columns)[:200]}. {_FIX}")
        rows = [_padded(row, len(columns)) for row in table.rows]
    numbers = [_parse(path, row.line, row.cells[columns.index("row")].strip()) for row in rows]
    labels, splits = (_column(rows, columns, names) for names in (_LABEL_COLUMNS, _SPLIT_COLUMNS))
    return ListedRows(path, np.array(numbers, dtype=np.int64), [row.line for row in rows], labels, splits)


def _padded(row: Row, width: int) -> Row:
    return Row(row.line, row.cells + [""] * (width - len(row.cells)))


def _column(rows: list[Row], columns: list[str], names: tuple[str, ...]) -> list[str]:
    place = next((columns.index(name) for name in names if name in columns), None)
    return ["" if place is None else row.cells[place] for row in rows]


def _parse(path: Path, line: int, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _MAX_DIGITS:
        raise DataError(f"{path} line {line}: {text[:40]!r} is not a row number. {_FIX}")
    return int(text)
