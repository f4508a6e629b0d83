"""Tables as CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks.table_file import Columns, Row, TableFile
from fer_deploy.live.sinks.unfinished import take_name, unfinished_path
from fer_deploy.live.sinks.whole_lines import WholeLines


class CsvFile(TableFile):
    """Comma-separated, UTF-8, with a header; the temporary file `NAME.PID.part.csv` has whole lines at any moment."""

    def __init__(self, path: Path, columns: Columns, *, fix: str) -> None:
        """Create the temporary file and write the header; `fix` is `TableSink`'s."""
        self._path, self._part = path, unfinished_path(path)
        self._lines = WholeLines(self._part, fix=fix)
        self._has_failed = False
        self.append([list(columns)])
        self._is_empty = True

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, all or none, at once."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        try:
            self._lines.append(text.getvalue())
        except SinkError:
            self._has_failed = True
            raise
        self._is_empty = False

    def finish(self) -> None:
        """Rename it, unless rows are missing."""
        self._lines.close()
        if self._has_failed:
            raise SinkError(
                f"{self._path} is incomplete; {self._part} holds the rows before. Fix: free some space, run again"
            )
        take_name(self._part, self._path)

    def leave(self) -> None:
        """Close it as it is."""
        self._lines.close()
        if self._is_empty:
            self._part.unlink(missing_ok=True)
