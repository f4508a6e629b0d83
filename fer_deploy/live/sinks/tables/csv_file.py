"""CsvFile: a table as CSV."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fer_deploy.live.file_names import printable
from fer_deploy.live.sinks.tables.base import Columns, Row, TableFile
from fer_deploy.live.sinks.unfinished import take_name, unfinished_path
from fer_deploy.live.sinks.whole_lines import WholeLines

_FORMULA: Final = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""Start of a formula; the last four characters are the full-width forms of East Asian keyboards."""


class CsvFile(TableFile):
    """Comma-separated, UTF-8, with a header. The temporary file `NAME.PID.part.csv` has only complete lines."""

    def __init__(self, path: Path, columns: Columns, *, metadata: Mapping[str, str] | None = None, fix: str) -> None:
        """Create the temporary file and write the header; a CSV has no metadata. `fix`: see `TableSink`."""
        self._path, self._part = path, unfinished_path(path)
        self._lines = WholeLines(self._part, fix=fix)
        self.append([list(columns)])
        self._is_empty = True

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, all or none, at once."""
        self._lines.append(csv_text(rows))
        self._is_empty = False

    def complete(self) -> None:
        """Close the file; all lines are written already."""
        self._lines.close()

    def publish(self) -> None:
        """Rename the file."""
        take_name(self._part, self._path)

    def leave(self) -> None:
        """Close the file under its temporary name."""
        self._lines.close()
        if self._is_empty:
            self._part.unlink(missing_ok=True)


def csv_text(rows: Sequence[Row], *, delimiter: str = ",") -> str:
    """Return rows as lines of a CSV; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", delimiter=delimiter).writerows(
        [_cell(value) for value in row] for row in rows
    )
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Return a text as one line; an apostrophe prevents spreadsheets from reading it as a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) else text
