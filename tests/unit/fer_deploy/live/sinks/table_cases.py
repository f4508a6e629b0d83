"""Labels, and a reader for both formats of tables."""

import csv
from pathlib import Path

import pyarrow.parquet as pq

from fer_deploy.live.sinks.tables.rows import FRAME_COLUMNS, face_columns

LABELS = ("dark", "bright")


def rows_of(path: Path, *, is_corrected: bool = False) -> list[dict]:
    """Read either format; CSV's words become what the columns say."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    kinds = {**face_columns(LABELS, is_corrected=is_corrected), **FRAME_COLUMNS}
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _parsed(value, kinds[name]) for name, value in row.items()} for row in csv.DictReader(file)]


def _parsed(word: str, kind: type) -> object:
    if kind is bool:
        return word == "True"
    return kind(word) if word or kind is str else None
