"""Read a whole Parquet table without leaving work to Arrow's threads.

`pyarrow.parquet.read_table` and `pyarrow.csv.read_csv` let such threads free the Python file that they were given, some
time later. Where that is while Python ends, C++ calls `std::terminate` and the process is aborted: 5 of 120 runs of
`fer-deploy archive run` that had nothing to do, on two busy cores.
"""

from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq


def read_parquet(file: IO[bytes]) -> pa.Table:
    """Return the table in a file that was opened by Python; Arrow would read a path with a colon as a URL.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be read, or is no Parquet.
    """
    with pq.ParquetFile(file) as opened:
        return opened.read(use_threads=False)


def read_csv(file: IO[bytes]) -> pa.Table:
    """Return the table in a CSV file that was opened by Python.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be read, or is no CSV.
    """
    return pyarrow.csv.read_csv(file, read_options=pyarrow.csv.ReadOptions(use_threads=False))
