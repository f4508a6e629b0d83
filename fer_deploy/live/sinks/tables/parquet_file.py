"""ParquetFile: a table as Parquet, written in parts and joined at the end."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fer_deploy.errors import SinkError
from fer_deploy.files.durable import give_name
from fer_deploy.live.sinks.tables.base import Columns, Row, TableFile
from fer_deploy.live.sinks.unfinished import unfinished_path

ROWS_PER_PART = 5_000
"""About a minute of three faces at 30 frames/s: the rows held in memory, which a kill would lose."""
_ROWS_PER_GROUP = 50_000
_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}


class ParquetFile(TableFile):
    """Parts in the folder `NAME.PID.part.parquet`, each a Parquet file; joined into one at the end.

    A Parquet file is unreadable until its footer is written, so a kill would lose a single file. Readers of Parquet
    accept the folder like a file.
    """

    def __init__(self, path: Path, columns: Columns, *, metadata: Mapping[str, str] | None = None, fix: str) -> None:
        """Create the folder of parts; each has the metadata, texts by their key. `fix`: see `TableSink`."""
        self._path, self._parts, self._fix = path, unfinished_path(path), fix
        fields = [(name, _TYPES[kind]) for name, kind in columns.items()]
        self._schema = pa.schema(fields, metadata=dict(metadata or {}) or None)
        self._joined = self._parts.with_name(f"{self._parts.stem}.joined{self._parts.suffix}")
        self._rows: list[Row] = []
        self._num_parts = 0
        try:
            shutil.rmtree(self._parts, ignore_errors=True)
            self._parts.mkdir(parents=True)
        except OSError as err:
            raise SinkError(f"cannot write {path}: {err.strerror}. Fix: {fix}") from err

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows to the current part."""
        self._rows += rows
        if len(self._rows) >= ROWS_PER_PART:
            self._write_part()

    def _part(self, number: int) -> Path:
        return self._parts / f"{number:06}.parquet"

    def _write_part(self) -> None:
        by_column = zip(*self._rows, strict=True)
        columns = [pa.array(values, field.type) for values, field in zip(by_column, self._schema, strict=True)]
        part = self._part(self._num_parts)
        hidden = part.with_name(f".{part.name}")  # readers of the folder skip it until it is complete
        try:
            with hidden.open("wb") as file:  # Arrow would read a path with a colon as a URL
                pq.write_table(pa.table(columns, schema=self._schema), file)
            hidden.replace(part)
        except OSError as err:
            raise SinkError(
                f"cannot write {part}: {err}. The parts before are complete. Fix: free some space, or {self._fix}"
            ) from err
        self._rows = []
        self._num_parts += 1

    def complete(self) -> None:
        """Join the parts, a group of rows at a time."""
        if self._rows:
            self._write_part()
        try:
            join_parquet([self._part(number) for number in range(self._num_parts)], self._joined, self._schema)
        except OSError as err:
            self._joined.unlink(missing_ok=True)
            raise self._unfinished(err) from err

    def publish(self) -> None:
        """Rename the joined file, and remove the parts."""
        try:
            give_name(self._joined, self._path)
            shutil.rmtree(self._parts)
        except OSError as err:
            self._joined.unlink(missing_ok=True)
            raise self._unfinished(err) from err

    def _unfinished(self, err: OSError) -> SinkError:
        return SinkError(
            f"cannot finish {self._path}: {err}. The parts in {self._parts} are complete. Fix: free some space, and "
            "read the folder in place of the file"
        )

    def leave(self) -> None:
        """Write the current part."""
        self._joined.unlink(missing_ok=True)
        if self._rows:
            self._write_part()
        if self._num_parts == 0:
            shutil.rmtree(self._parts, ignore_errors=True)


def join_parquet(
    parts: Sequence[Path],
    path: Path,
    schema: pa.Schema | None = None,
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Join several files into one, with one group of rows at a time in memory.

    Args:
        parts: files with the same schema.
        path: the joined file.
        schema: of the parts; needed if there are none.
        metadata: texts to store in the file, by their key.

    Raises:
        OSError: a file cannot be read or written.
    """
    schema = schema or _schema_of(parts[0])
    if metadata:
        schema = schema.with_metadata(dict(metadata))
    with (
        path.open("wb") as file,
        pq.ParquetWriter(file, schema, compression="zstd") as whole,
    ):
        waiting: list[pa.Table] = []
        for group in _groups_of(parts):
            waiting.append(group)
            if sum(table.num_rows for table in waiting) >= _ROWS_PER_GROUP:
                whole.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            whole.write_table(pa.concat_tables(waiting))


def _schema_of(part: Path) -> pa.Schema:
    with part.open("rb") as file:
        return pq.read_schema(file)


def _groups_of(parts: Sequence[Path]) -> Iterator[pa.Table]:
    for part in parts:
        with part.open("rb") as opened, pq.ParquetFile(opened) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)
