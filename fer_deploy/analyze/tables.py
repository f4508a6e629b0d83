"""Read tables of faces from Parquet, one row group at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from fer_deploy.analyze.report.people_seen import Rows


def num_rows_in_parquet(path: Path) -> int:
    """Return the number of rows of a file."""
    with path.open("rb") as file:  # Arrow would read a path with a colon as a URL
        return int(pq.read_metadata(file).num_rows)


def rows_from_parquet(path: Path, labels: Sequence[str]) -> Iterator[Rows]:
    """Yield the rows of a table, one row group at a time."""
    probs = [f"smoothed_p_{label}" for label in labels]
    columns = ["time_s", "track", "person", "shown", "flags", *probs]
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns)
            if table.num_rows:
                yield Rows(
                    time_s=table["time_s"].to_numpy(),
                    track=table["track"].to_numpy(),
                    person=np.asarray([number or 0 for number in table["person"].to_pylist()], dtype=np.int64),
                    shown=np.asarray(table["shown"].to_pylist(), dtype=object),
                    flags=np.asarray(table["flags"].to_pylist(), dtype=object),
                    probs=np.column_stack([table[name].to_numpy() for name in probs]),
                )
