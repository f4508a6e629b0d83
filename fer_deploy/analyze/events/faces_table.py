"""Read the tables of finished results: faces of numbered people, with the time that each frame lasts."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.result_files import FACES, PARQUET, SUMMARY
from fer_deploy.errors import ConfigError


class FaceRows(NamedTuple):
    """Some faces of one person, in the order of the video.

    Attributes:
        start_s, end_s: (N,) when the frame of the face begins and ends; end is exclusive.
        follows: (N,) bool, whether the person was visible in the frame before, too.
        shown: (N,) of str, the shown label, "unsure" or "unreadable".
        probs: (N, C) float64, smoothed.
    """

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    follows: NDArray[np.bool_]
    shown: NDArray[np.object_]
    probs: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_]) -> "FaceRows":
        """Return the rows with a True in `chosen`, (N,)."""
        follows, shown = self.follows[chosen], self.shown[chosen]
        return FaceRows(self.start_s[chosen], self.end_s[chosen], follows, shown, self.probs[chosen])


def load_summary(folder: Path) -> Summary:
    """Return the summary of a folder with finished results.

    Raises:
        ConfigError: there is none, or it is damaged or of another version.
    """
    summary = Summary.load(folder / SUMMARY)
    if summary is None:
        raise ConfigError(
            f"{folder} has no {SUMMARY}, so it holds no finished analysis. Fix: the folder of a video in --out"
        )
    return summary


def faces_of_people(folder: Path, summary: Summary) -> Iterator[tuple[int, FaceRows]]:
    """Yield the number of a person and some of their rows, one row group at a time: memory stays small.

    Rows of one person come in the order of the video, those of merged tracks together. Passers-by and people that were
    dropped are left out.

    Raises:
        ConfigError: a table is missing or damaged.
    """
    number_of = {track: person.number for person in summary.people for track in person.all_tracks}
    probs = [f"smoothed_p_{label}" for label in summary.labels]
    frames, borders_s = _frame_borders(folder, summary)
    last_frame: dict[int, int] = {}
    for table in _groups(folder / PARQUET, ["frame", "track", "shown", *probs]):
        tracks, frame = table["track"].to_numpy(), table["frame"].to_numpy()
        shown = np.asarray(table["shown"].to_pylist(), dtype=object)
        values = np.column_stack([table[name].to_numpy() for name in probs])
        place = np.searchsorted(frames, frame)
        people = np.asarray([number_of.get(track, 0) for track in tracks.tolist()], dtype=np.int64)
        for number in np.unique(people[people > 0]).tolist():
            here = people == number
            at = place[here]
            follows = np.diff(at, prepend=last_frame.get(number, -2)) == 1
            last_frame[number] = int(at[-1])
            yield number, FaceRows(borders_s[at], borders_s[at + 1], follows, shown[here], values[here])


def _frame_borders(folder: Path, summary: Summary) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the numbers of all frames, (N,), and their times with the end of the last one, (N + 1,)."""
    tables = list(_groups(folder / f"{FACES}.frames.parquet", ["frame", "time_s"]))
    frames = [table["frame"].to_numpy() for table in tables]
    times = [table["time_s"].to_numpy() for table in tables]
    if not frames:
        return np.zeros(0, np.int64), np.zeros(1)
    return np.concatenate(frames), np.append(np.concatenate(times), summary.duration_s)


def _groups(path: Path, columns: list[str]) -> Iterator[pa.Table]:
    try:
        with path.open("rb") as opened, pq.ParquetFile(opened) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns)
                if table.num_rows:
                    yield table
    except (OSError, ValueError, KeyError) as err:  # PyArrow's errors are ValueErrors and OSErrors
        raise ConfigError(f"cannot read {path}: {err}. Fix: analyze again with --restart") from err
