"""Tests for PartitionedTable: folders as Hive names them, which other programs read."""

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from fer_deploy.archive.joining.tables import Partition, PartitionedTable
from fer_deploy.archive.manifest import VideoRow
from fer_deploy.archive.store import Store

DAYS = {"2026-11-28": 2, "2026-11-29": 3, "": 1}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    table = PartitionedTable(Store(str(folder / "out")), "faces", folder)
    for day, num in DAYS.items():
        row = VideoRow(id="a", address="/films/people of ü=1/a.mp4", date=day)
        table.append(Partition.of(row), pa.table({"frame": list(range(num))}))
    table.close()
    assert len(table.digests) == len(DAYS)
    return folder / "out" / "tables" / "faces"


def test_pyarrow_reads_it(out):
    table = ds.dataset(out, partitioning="hive").to_table()
    assert table.num_rows == sum(DAYS.values())
    assert set(table["collection"].to_pylist()) == {"people of ü=1"}
    assert {(day or ""): table["date"].to_pylist().count(day) for day in set(table["date"].to_pylist())} == DAYS
    dated = ds.partitioning(pa.schema([("collection", pa.string()), ("date", pa.date32())]), flavor="hive")
    assert (
        ds.dataset(out, partitioning=dated)
        .to_table(filter=ds.field("date") >= pa.scalar("2026-11-29").cast(pa.date32()))
        .num_rows
        == 3
    )


def test_duckdb_reads_it(out):
    duckdb = pytest.importorskip("duckdb")
    query = f"from read_parquet('{out}/**/*.parquet', hive_partitioning = true)"
    rows = duckdb.sql(f"select count(*), count(date) {query} where collection = 'people of ü=1'").fetchall()
    assert rows == [(6, 5)]
    assert duckdb.sql(f"select count(*) {query} where date >= date '2026-11-29'").fetchall() == [(3,)]


def test_polars_reads_it(out):
    polars = pytest.importorskip("polars")
    table = polars.scan_parquet(out, hive_partitioning=True).filter(polars.col("date").dt.day() == 29).collect()
    assert table.height == 3
