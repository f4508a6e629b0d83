"""Parquet alone."""

import sys

import pyarrow.parquet as pq
import pytest
from unit.fer_deploy.live.sinks.table_cases import LABELS, rows_of

from fer_deploy.errors import MissingDependencyError, SinkError
from fer_deploy.live.sinks import ParquetSink
from fer_deploy.live.sinks.tables import parquet_file


class TestParquet:
    def test_parts_are_joined_into_groups(self, tmp_path, make_result, monkeypatch):
        monkeypatch.setattr(parquet_file, "ROWS_PER_PART", 10)
        monkeypatch.setattr(parquet_file, "_ROWS_PER_GROUP", 30)
        with ParquetSink(tmp_path / "a.parquet", LABELS) as sink:
            for index in range(95):
                sink.write(make_result(index), None)
        assert [row["frame"] for row in rows_of(tmp_path / "a.parquet")] == list(range(95))
        layout = pq.ParquetFile(tmp_path / "a.parquet").metadata
        assert [layout.row_group(n).num_rows for n in range(layout.num_row_groups)] == [30, 30, 30, 5]

    def test_part_that_cannot_be_written(self, tmp_path, make_result, monkeypatch):
        monkeypatch.setattr(parquet_file, "ROWS_PER_PART", 2)
        sink = ParquetSink(tmp_path / "a.parquet", LABELS)
        for index in range(3):
            sink.write(make_result(index), None)
        (folder,) = (path for path in tmp_path.iterdir() if path.name.startswith("a.") and "frames" not in path.name)

        def fail(table, file):
            file.write(b"half")
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(parquet_file.pq, "write_table", fail)
            with pytest.raises(
                SinkError, match=r"cannot write .*000001\.parquet: .*No space left.*Fix: free some space"
            ):
                sink.write(make_result(3), None)
            with pytest.raises(SinkError, match=r"a\.parquet is incomplete; .*Fix: see the failure before this one"):
                sink.close()
        assert len(pq.read_table(folder)) == 2, "the folder still reads"
        assert not (tmp_path / "a.parquet").exists()

    def test_without_pyarrow(self, tmp_path, monkeypatch):
        monkeypatch.delitem(sys.modules, "fer_deploy.live.sinks.tables.parquet_file", raising=False)
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(
            MissingDependencyError, match=r"pyarrow is not installed\. Fix: pip install 'fer-toolchain\["
        ):
            ParquetSink(tmp_path / "a.parquet", LABELS)
