"""PartitionedTable: a table of many videos as Parquet files of bounded size, in folders for collection and date."""

from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from fer_deploy.archive.manifest import VideoRow
from fer_deploy.archive.store import Store
from fer_deploy.artifacts import file_sha256

PART_BYTES: Final = 256 * 2**20
_GROUP_ROWS: Final = 200_000
UNKNOWN: Final = "__HIVE_DEFAULT_PARTITION__"
"""Hive's name of a partition without a value; readers give null."""


class Partition(NamedTuple):
    """The folder of a video's rows: `collection=people/date=2026-11-29`.

    Attributes:
        collection: name of the folder that the video is in.
        date: day on which it was recorded, YYYY-MM-DD; empty if unknown.
    """

    collection: str
    date: str

    @classmethod
    def of(cls, row: VideoRow) -> "Partition":
        """Return the partition of a video."""
        return cls(row.address.rstrip("/").rpartition("/")[0].rpartition("/")[2] or "root", row.date)

    @property
    def folder(self) -> str:
        """Folder as Hive names it."""
        values = self._asdict().items()
        return "/".join(f"{name}={quote(value, safe='') if value else UNKNOWN}" for name, value in values)


class PartitionedTable:
    """Appends rows and sends a part to the store when it is large enough. Used by one thread.

    Attributes:
        digests: SHA-256 of the parts that were sent, by their names.
    """

    def __init__(self, store: Store, name: str, scratch: Path, *, part_bytes: int = PART_BYTES) -> None:
        """Create the table; nothing is written yet.

        Args:
            store: gets the parts.
            name: of the table.
            scratch: folder for the part that is being written.
            part_bytes: size of a part, about.
        """
        self._store, self._name, self._part_bytes = store, name, part_bytes
        self._draft = scratch / f"{name}.parquet"
        self._partition: Partition | None = None
        self._number = 0
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self.digests: dict[str, str] = {}

    def append(self, partition: Partition, rows: pa.Table) -> None:
        """Append rows of a partition; all of a partition come one after another.

        Raises:
            SinkError: a part cannot be sent.
        """
        if partition != self._partition:
            self.close()
            self._partition, self._number = partition, 0
        self._waiting.append(rows)
        if sum(table.num_rows for table in self._waiting) >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        if not self._waiting:
            return
        group = pa.concat_tables(self._waiting)
        self._waiting = []
        if self._writer is None:
            self._file = self._draft.open("wb")
            self._writer = pq.ParquetWriter(self._file, group.schema, compression="zstd")
        self._writer.write_table(group)
        if self._file.tell() >= self._part_bytes:
            self._send()

    def _send(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._file.close()
        self._writer = None
        self._number += 1
        assert self._partition is not None
        name = f"tables/{self._name}/{self._partition.folder}/part-{self._number:06}.parquet"
        self._store.send(self._draft, name)
        self.digests[name] = file_sha256(self._draft)
        self._draft.unlink()

    def close(self) -> None:
        """Send the last part; raises SinkError."""
        self._write_group()
        self._send()
