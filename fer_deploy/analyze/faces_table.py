"""The one reader of the tables of an analysis: faces with the time that each of their frames lasts.

Everything that is computed from finished results reads them here: people and their shares of time, curves, segments and
intervals. So a share of time is the same in all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_deploy.analyze.people.rows import Rows
from fer_deploy.analyze.result_files import FACES, PARQUET, SUMMARY
from fer_deploy.artifacts import file_sha256
from fer_deploy.errors import ConfigError
from fer_deploy.live.fingerprint.run_fingerprint import fingerprint_in, require_one_run

FRAMES_PARQUET = f"{FACES}.frames.parquet"
_FIX = "analyze again with --restart"


def face_rows(
    folder: Path, labels: Sequence[str], *, until_s: float, run: str, digests: Mapping[str, str] | None = None
) -> Iterator[Rows]:
    """Yield the rows of faces.parquet, one row group at a time: memory does not grow with the video.

    Args:
        folder: of the results.
        labels: of the model.
        until_s: when the last frame ends, in seconds of the video.
        run: short name of the run of the summary; tables of another run are refused. Those of older versions name none.
        digests: SHA-256 of tables by file name, as in the summary; None: they are not checked.

    Raises:
        ConfigError: a table is missing, damaged, of another run, or was changed after the analysis.
    """
    faces, frames = folder / PARQUET, folder / FRAMES_PARQUET
    require_one_run({SUMMARY: run, **{path.name: _run_of(path) for path in (faces, frames)}}, fix=_FIX)
    for path in (faces, frames):
        require_unchanged(path, digests or {})
    probs = [f"smoothed_p_{label}" for label in labels]
    clock = _Clock(row_groups(frames, ["frame", "time_s"]), until_s)
    for table in row_groups(faces, ["frame", "track", "person", "shown", "flags", *probs]):
        try:
            times = clock.of(table["frame"].to_numpy())
        except ValueError as err:
            raise ConfigError(f"{faces} has the frame {err}, and {frames} does not. Fix: {_FIX}") from err
        yield Rows(
            *times,
            track=table["track"].to_numpy(),
            person=np.asarray([number or 0 for number in table["person"].to_pylist()], dtype=np.int64),
            shown=np.asarray(table["shown"].to_pylist(), dtype=object),
            flags=np.asarray(table["flags"].to_pylist(), dtype=object),
            probs=np.column_stack([table[name].to_numpy() for name in probs]),
        )


class _Clock:
    """When frames begin and end; reads the table of frames as far as it is needed."""

    def __init__(self, groups: Iterator[pa.Table], until_s: float) -> None:
        self._groups, self._until_s = groups, until_s
        self._frame: NDArray[np.int64] = np.zeros(0, np.int64)
        self._time_s: NDArray[np.float64] = np.zeros(0)
        self._first_place = 0
        self._is_read = False

    def of(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return place, start and end (N,) of frames (N,), which come in their order over all calls.

        Raises:
            ValueError: a frame is not in the table; the message is its number.
        """
        before = int(np.searchsorted(self._frame, frames[0]))
        self._first_place += before
        known_frames, known_times = [self._frame[before:]], [self._time_s[before:]]
        while not self._is_read and not (len(known_frames[-1]) and known_frames[-1][-1] > frames[-1]):
            table = next(self._groups, None)
            self._is_read = table is None
            if table is not None:
                known_frames.append(table["frame"].to_numpy())
                known_times.append(table["time_s"].to_numpy())
        self._frame, self._time_s = np.concatenate(known_frames), np.concatenate(known_times)
        at = np.searchsorted(self._frame, frames)
        is_known = at < len(self._frame)
        is_known[is_known] = self._frame[at[is_known]] == frames[is_known]
        if not is_known.all():
            raise ValueError(int(frames[~is_known][0]))
        borders_s = np.append(self._time_s, self._until_s)
        return self._first_place + at, borders_s[at], np.maximum(borders_s[at + 1], borders_s[at])


def require_unchanged(path: Path, digests: Mapping[str, str]) -> None:
    """Check that a table is the one that the analysis wrote.

    Args:
        path: of the table.
        digests: SHA-256 by file name, as in the summary; a table that is not in it is not checked.

    Raises:
        ConfigError: it is another one.
    """
    digest = digests.get(path.name)
    if digest is not None and path.is_file() and file_sha256(path) != digest:
        raise ConfigError(
            f"{path} was changed after the analysis: {SUMMARY} has another SHA-256 of it. "
            f"Fix: put the table of the analysis back, or {_FIX}"
        )


def _run_of(path: Path) -> str:
    """Return the short name of a table's run; empty if it does not say, or is not there."""
    try:
        with path.open("rb") as file:
            found = fingerprint_in(pq.read_schema(file).metadata)
    except (OSError, ValueError):  # told by who reads its rows
        return ""
    return "" if found is None else found.run


def row_groups(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the row groups of a table that have rows.

    Raises:
        ConfigError: it cannot be read, or lacks a column.
    """
    try:
        with path.open("rb") as opened, pq.ParquetFile(opened) as file:  # Arrow would read a path with a colon as a URL
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(columns))
                if missing := next((name for name in columns if name not in table.column_names), None):
                    raise KeyError(f"it has no column {missing}")
                if table.num_rows:
                    yield table
    except (OSError, ValueError, KeyError) as err:  # PyArrow's errors are ValueErrors and OSErrors
        why = getattr(err, "strerror", None) or (err.args[0] if isinstance(err, KeyError) else err)
        raise ConfigError(f"cannot read {path}: {why}. Fix: {_FIX}") from err
