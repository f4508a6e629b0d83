"""Read the tables of faces and frames that analyze and live wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_deploy.analyze.faces_table import require_unchanged
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.result_files import FACES, PARQUET, SUMMARY
from fer_deploy.errors import ConfigError
from fer_deploy.files.parquet_table import read_csv, read_parquet
from fer_deploy.live.fingerprint.run_fingerprint import RUN, RunFingerprint, fingerprint_in, require_one_run
from fer_deploy.live.output_files import frames_path

_FACE_COLUMNS: Final = ("frame", "track", "person", "x1", "y1", "x2", "y2", "emotion", "shown")
_FRAME_COLUMNS: Final = ("frame", "time_s", "source")
_FIX: Final = "the folder of an analysis, or the faces.parquet or faces.csv in it"


@dataclass(frozen=True, eq=False)
class VideoResult:
    """Faces and frames of one analyzed video.

    Attributes:
        path: of the table of faces.
        names: under which codes may name the video: its file name, with and without suffix, and that of its folder.
        labels: of the model.
        frame: (F,) numbers of all frames, increasing.
        time_s: (F,) their times in seconds.
        face_frame: (N,) frame of each face, not decreasing.
        track, person: (N,) whose face it is. A person has its number from its first face on, and is 0 if it never
            gets one. In the tables the number is only given once a face has been followed for a second. After
            `analyze --people` it is the number in the report: merged tracks are one person, and who was dropped has 0.
        boxes_xyxy: (N, 4) in pixels.
        emotion: (N,) of str, the network's label for this frame.
        shown: (N,) of str, the smoothed label, "unsure" or "unreadable".
        run: short name of the run; empty if the tables do not say.
        fingerprint: of the run, or None.
        is_renumbered: whether somebody's number in the report is another one than in the tables.
    """

    path: Path
    names: tuple[str, ...]
    labels: tuple[str, ...]
    frame: NDArray[np.int64]
    time_s: NDArray[np.float64]
    face_frame: NDArray[np.int64]
    track: NDArray[np.int64]
    person: NDArray[np.int64]
    boxes_xyxy: NDArray[np.int64]
    emotion: NDArray[np.object_]
    shown: NDArray[np.object_]
    run: str = ""
    fingerprint: RunFingerprint | None = None
    is_renumbered: bool = False

    @property
    def name(self) -> str:
        """The video's name."""
        return self.names[0]

    def faces_at(self, frame: int) -> range:
        """Return the rows of the faces in a frame."""
        first, last = np.searchsorted(self.face_frame, [frame, frame + 1])
        return range(int(first), int(last))


def results_at(paths: Sequence[Path]) -> list[VideoResult]:
    """Read the results of all videos.

    Args:
        paths: each a folder of a video, the --out of an analysis with such folders, or a table of faces.

    Raises:
        ConfigError: there is no result, or it cannot be read.
    """
    tables = list(dict.fromkeys(table for path in paths for table in _tables_at(path)))
    results = [_result(table) for table in tables]
    others = next((one for one in results if one.labels != results[0].labels), None)
    if others is not None:
        raise ConfigError(
            f"{others.path} has the labels {', '.join(others.labels)}, and {results[0].path} has "
            f"{', '.join(results[0].labels)}. Fix: compare the results of one model at a time"
        )
    return results


def _tables_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / PARQUET).is_file():
        return [path / PARQUET]
    found = sorted(path.glob(f"*/{PARQUET}")) if path.is_dir() else []
    if not found:
        raise ConfigError(f"no results in {path}. Fix: {_FIX}")
    return found


def _result(path: Path) -> VideoResult:
    faces, frames, summary = _read(path), _read(frames_path(path)), _summary_of(path)
    labels = tuple(name.removeprefix("p_") for name in faces.column_names if name.startswith("p_"))
    missing = [name for name in _FACE_COLUMNS if name not in faces.column_names]
    missing += [name for name in _FRAME_COLUMNS if name not in frames.column_names]
    if missing or not labels:
        raise ConfigError(f"{path} is no table of faces: it has no {', '.join(missing or ['p_<label>'])}. Fix: {_FIX}")
    if len(set(frames["source"].to_pylist())) > 1:
        raise ConfigError(f"{path} has several sources. Fix: the table of one source at a time")
    in_metadata = fingerprint_in(faces.schema.metadata)
    fingerprint = in_metadata if summary is None else in_metadata or summary.fingerprint
    run = _require_one_run(path, faces, frames, summary)
    for table in (path, frames_path(path)):
        require_unchanged(table, {} if summary is None else summary.tables)
    frame = _ints(frames["frame"])
    columns = {name: _ints(faces[name]) for name in _FACE_COLUMNS if name not in ("emotion", "shown")}
    return VideoResult(
        path=path,
        names=_names(path, summary),
        labels=labels,
        frame=frame,
        time_s=frames["time_s"].to_numpy().astype(np.float64),
        face_frame=columns["frame"],
        track=columns["track"],
        person=_people(columns["track"], columns["person"], summary),
        boxes_xyxy=np.column_stack([columns[name] for name in ("x1", "y1", "x2", "y2")]),
        emotion=np.asarray(faces["emotion"].to_pylist(), dtype=object),
        shown=np.asarray(faces["shown"].to_pylist(), dtype=object),
        run=run,
        fingerprint=fingerprint,
        is_renumbered=_is_renumbered(summary),
    )


def _require_one_run(path: Path, faces: pa.Table, frames: pa.Table, summary: Summary | None) -> str:
    """Return the short name of the run of a video's tables; empty if they do not say, as those of older versions."""
    runs = {path.name: _runs_in(faces), frames_path(path).name: _runs_in(frames)}
    runs |= {} if summary is None else {SUMMARY: [summary.run]}
    several = next((name for name, found in runs.items() if len(found) > 1), None)
    if several is not None:
        raise ConfigError(
            f"{several} in {path.parent} has rows of different runs: {', '.join(runs[several])}. Fix: one run a table"
        )
    known = {f"{path.parent / name}": found[0] if found else "" for name, found in runs.items()}
    require_one_run(known, fix="the tables of one run, as it wrote them")
    return next(filter(None, known.values()), "")


def _runs_in(table: pa.Table) -> list[str]:
    """Return the names in the column run, or in the metadata."""
    if RUN in table.column_names:
        return sorted({str(name) for name in table[RUN].unique().to_pylist() if name})
    found = fingerprint_in(table.schema.metadata)
    return [] if found is None else [found.run]


def _summary_of(path: Path) -> Summary | None:
    """Return the summary beside a table of analyze; None if there is none of this version."""
    if path.name not in (PARQUET, f"{FACES}.csv"):
        return None
    try:
        return Summary.load(path.parent / SUMMARY)
    except ConfigError:  # of another version; the tables have not changed
        return None


def _names(path: Path, summary: Summary | None) -> tuple[str, ...]:
    folder = path.parent
    if path.name not in (PARQUET, f"{FACES}.csv"):
        return (path.stem,)
    names = [] if summary is None else [summary.name, Path(summary.name).stem]
    return tuple(dict.fromkeys([*names, folder.resolve().name]))


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:  # Arrow would read a path with a colon as a URL
            if path.suffix.lower() == ".csv":
                return read_csv(file)
            return read_parquet(file)
    except (OSError, pa.ArrowException) as err:
        why = getattr(err, "strerror", None) or err
        raise ConfigError(f"cannot read the results {path}: {why}. Fix: {_FIX}") from err


def _ints(column: Any) -> NDArray[np.int64]:
    """Return whole numbers; 0 where there is none."""
    return np.asarray([value or 0 for value in column.to_pylist()], dtype=np.int64)


def _people(track: NDArray[np.int64], person: NDArray[np.int64], summary: Summary | None) -> NDArray[np.int64]:
    if summary is None or not any(one.tracks for one in summary.people):
        return _person_of_track(track, person)
    number = {known: one.number for one in summary.people for known in one.all_tracks}
    return np.asarray([number.get(known, 0) for known in track.tolist()], dtype=np.int64)


def _is_renumbered(summary: Summary | None) -> bool:
    people = () if summary is None else summary.people
    return any(one.tracks and one.number not in one.numbers for one in people)


def _person_of_track(track: NDArray[np.int64], person: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number (N,) that the track of each face has in any of its frames, or 0."""
    tracks, places = np.unique(track, return_inverse=True)
    numbers = np.zeros(len(tracks), dtype=np.int64)
    np.maximum.at(numbers, places, person)
    return numbers[places]
