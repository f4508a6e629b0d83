"""Tables as Parquet, and parts of one joined."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fer_deploy.durable import give_name
from fer_deploy.errors import SinkError
from fer_deploy.live.sinks.table_file import Columns, Row, TableFile
from fer_deploy.live.sinks.unfinished import unfinished_path

ROWS_PER_PART = 5_000
"""A minute of three faces at 30 frames/s: what a kill can cost, and what is held in memory."""
_ROWS_PER_GROUP = 50_000
_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}


class ParquetFile(TableFile):
    """Parts in the folder `NAME.PID.part.parquet`, each a Parquet file; joined into one at the end.

    A Parquet file cannot be read before its end is written, so that one file would be lost with a kill. What reads
    Parquet takes the folder as it takes the file.
    """

    def __init__(self, path: Path, columns: Columns, *, fix: str) -> None:
        """Create the folder of parts; `fix` is `TableSink`'s."""
        self._path, self._parts, self._fix = path, unfinished_path(path), fix
        self._schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
        self._rows: list[Row] = []
        self._num_parts = 0
        try:
            shutil.rmtree(self._parts, ignore_errors=True)
            self._parts.mkdir(parents=True)
        except OSError as err:
            raise SinkError(f"cannot write {path}: {err.strerror}. Fix: {fix}") from err

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows to the part in hand."""
        self._rows += rows
        if len(self._rows) >= ROWS_PER_PART:
            self._write_part()

    def _part(self, number: int) -> Path:
        return self._parts / f"{number:06}.parquet"

    def _write_part(self) -> None:
        by_column = zip(*self._rows, strict=True)
        columns = [pa.array(values, field.type) for values, field in zip(by_column, self._schema, strict=True)]
        part = self._part(self._num_parts)
        hidden = part.with_name(f".{part.name}")  # readers of the folder skip it until it has an end
        try:
            pq.write_table(pa.table(columns, schema=self._schema), hidden)
            hidden.replace(part)
        except OSError as err:
            raise SinkError(
                f"cannot write {part}: {err}. The parts before are whole. Fix: free some space, or {self._fix}"
            ) from err
        self._rows = []
        self._num_parts += 1

    def finish(self) -> None:
        """Join the parts, a group of rows at a time, under the name."""
        joined = self._parts.with_name(f"{self._parts.stem}.joined{self._parts.suffix}")
        try:
            if self._rows:
                self._write_part()
            join_parquet([self._part(number) for number in range(self._num_parts)], joined, self._schema)
            give_name(joined, self._path)
            shutil.rmtree(self._parts)
        except OSError as err:
            joined.unlink(missing_ok=True)
            raise SinkError(
                f"cannot finish {self._path}: {err}. The parts in {self._parts} are whole. Fix: free some space, and "
                "read the folder in place of the file"
            ) from err

    def leave(self) -> None:
        """Write the part in hand."""
        if self._rows:
            self._write_part()
        if self._num_parts == 0:
            shutil.rmtree(self._parts, ignore_errors=True)


def join_parquet(parts: Sequence[Path], path: Path, schema: pa.Schema | None = None) -> None:
    """Write one file from several, a group of rows at a time in memory.

    Args:
        parts: of one schema.
        path: of the whole.
        schema: of the parts; needed where there are none.

    Raises:
        OSError: the system refuses.
    """
    with pq.ParquetWriter(path, schema or pq.read_schema(parts[0]), compression="zstd") as whole:
        waiting: list[pa.Table] = []
        for part in parts:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    waiting.append(file.read_row_group(group))
                    if sum(table.num_rows for table in waiting) >= _ROWS_PER_GROUP:
                        whole.write_table(pa.concat_tables(waiting))
                        waiting = []
        if waiting:
            whole.write_table(pa.concat_tables(waiting))
