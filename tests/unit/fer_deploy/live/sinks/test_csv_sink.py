"""CSV alone: cells that are no formulas, and rows that were lost."""

import csv

import pytest
from unit.fer_deploy.live.sinks.table_cases import LABELS, rows_of

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks import CsvSink
from fer_deploy.live.sinks.tables import rows as table
from fer_deploy.live.sinks.tables.csv_file import CsvFile


@pytest.mark.parametrize("name", ["=1+1.png", "+a.png", "-a.png", "@SUM(A1).png", " =a.png", "\uff1da.png"])
def test_no_cell_of_a_csv_is_a_formula(tmp_path, make_result, name):
    with CsvSink(tmp_path / "a.csv", LABELS) as sink:
        sink.write(make_result(0, name=name), None)
    assert rows_of(tmp_path / "a.frames.csv")[0]["name"] == f"'{name}"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("a\n@a", r"a\n@a"),
        ("\x0b-1", r"\x0b-1"),
        ("  =1", "'  =1"),
        ("a=1", "a=1"),
    ],
)
def test_a_cell_is_one_line_and_no_formula(tmp_path, cell, written):
    csv_file = CsvFile(tmp_path / "a.csv", {"x": str, "y": int}, fix="another --csv")
    csv_file.append([[cell, -1]])
    csv_file.complete()
    csv_file.publish()
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["x", "y"], [written, "-1"]], "numbers stay numbers"


def test_csv_that_lost_rows_does_not_take_the_name(tmp_path, make_result):
    class Full(CsvFile):
        def append(self, rows):
            if rows[0][0] == 1:
                self._lines._file.close()
                self._lines._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - the table closes it
            super().append(rows)

    sink = table.TableSink(tmp_path / "a.csv", LABELS, Full, fix="another --csv")
    sink.write(make_result(0), None)
    with pytest.raises(
        SinkError, match=r"cannot write .*a\.\d+\.part\.csv: No space left.*The lines before are complete"
    ):
        sink.write(make_result(1), None)
    with pytest.raises(SinkError, match=r"a\.csv is incomplete; .*a\.\d+\.part\.csv holds the rows before\. Fix:"):
        sink.close()
    assert not list(tmp_path.glob("a.csv")) + list(tmp_path.glob("a.frames.csv"))
