"""TableSink: write a table of faces, and a table of frames that also lists frames without faces."""

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from fer_deploy.errors import MissingDependencyError, SinkError
from fer_deploy.live.file_names import printable
from fer_deploy.live.fingerprint.run_fingerprint import RUN, RunFingerprint
from fer_deploy.live.output_files import frames_path
from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.tables.base import Columns, Row, TableFile
from fer_deploy.live.sinks.tables.csv_file import CsvFile
from fer_deploy.live.sinks.unfinished import KeptBeside, replaceable, unfinished_path
from fer_deploy.vision.quality import QUALITY_NAMES
from fer_deploy.vision.types import Emotion, FaceResult, FrameResult

FRAME_COLUMNS: Columns = {
    "frame": int,
    "time_s": float,
    "source": int,
    "name": str,
    "num_faces": int,
    "num_readable": int,
    RUN: str,
}
_DIGITS = 4


def face_columns(labels: tuple[str, ...], *, is_corrected: bool = False, has_names: bool = False) -> Columns:
    """Return the columns of the table of faces.

    Args:
        labels: of the model.
        is_corrected: whether the settings correct the emotion.
        has_names: whether each row has the name of its picture.
    """
    corrected: Columns = {"corrected_emotion": str, "corrected_confidence": float}
    corrected |= {f"corrected_p_{label}": float for label in labels}
    ints = ("track", "person", "x1", "y1", "x2", "y2")
    return {
        "frame": int,
        "time_s": float,
        "source": int,
        **({"name": str} if has_names else {}),
        **dict.fromkeys(ints, int),
        "score": float,
        "detected": bool,
        "emotion": str,
        "confidence": float,
        **{f"p_{label}": float for label in labels},
        **(corrected if is_corrected else {}),
        "smoothed_emotion": str,
        "smoothed_confidence": float,
        **{f"smoothed_p_{label}": float for label in labels},
        "sure": bool,
        "shown": str,
        **dict.fromkeys(QUALITY_NAMES, float),
        "flags": str,
        RUN: str,
    }


class TableSink(Sink):
    """Writes both tables with constant memory; each has a temporary name until it is complete."""

    live_capacity = 256
    needs_pixels = False

    def __init__(
        self,
        path: Path,
        labels: tuple[str, ...],
        create: Callable[..., TableFile],
        *,
        is_corrected: bool = False,
        has_names: bool = False,
        run: RunFingerprint | None = None,
        fix: str,
    ) -> None:
        """Create both tables.

        Args:
            path: of the table of faces.
            labels: of the model.
            create: creates a `TableFile` from its path, its columns, `metadata` and `fix`.
            is_corrected: whether the faces have a corrected emotion, which gets columns of its own.
            has_names: whether the rows of faces have the name of their picture.
            run: whose results they are; its name is the last column. None: empty.
            fix: end of the message if a file cannot be written, such as "another --csv".

        Raises:
            SinkError: a folder, device or pipe has the name of a table, or `create` fails.
        """
        of_faces, of_frames = (replaceable(wanted, fix=fix) for wanted in (path, frames_path(path)))
        self._path, self._is_corrected, self._has_names = path, is_corrected, has_names
        self._names = of_faces, of_frames
        self._run = "" if run is None else run.run
        self._is_failed = self._has_frames = False
        about = {} if run is None else run.metadata()
        columns = face_columns(labels, is_corrected=is_corrected, has_names=has_names)
        self._faces = create(of_faces, columns, metadata=about, fix=fix)
        try:
            self._frames = create(of_frames, FRAME_COLUMNS, metadata=about, fix=fix)
        except SinkError:
            self._faces.leave()
            raise

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Add a row for each face, and one for the frame."""
        is_failed, self._is_failed = self._is_failed, True  # until all rows are written, for any exception
        frame = result.frame
        place = [frame.index, round(frame.time_s, _DIGITS), frame.source]
        if result.faces:
            name = [printable(frame.name)] if self._has_names else []
            self._faces.append([place + name + self._row(face) for face in result.faces])
        num_readable = sum(face.is_readable for face in result.faces)
        self._frames.append([[*place, printable(frame.name), len(result.faces), num_readable, self._run]])
        self._is_failed, self._has_frames = is_failed, True
        return True

    def _row(self, face: FaceResult) -> Row:
        box, corrected = face.box, [face.corrected or face.emotion] if self._is_corrected else []
        return [
            face.face.track_id,
            face.person,
            box.x1,
            box.y1,
            box.x2,
            box.y2,
            round(face.face.detection.score, _DIGITS),
            face.face.is_detected,
            *(cell for emotion in (face.emotion, *corrected, face.smoothed) for cell in _cells(emotion)),
            face.is_sure,
            face.shown_label,
            *([None] * len(QUALITY_NAMES) if face.quality is None else face.quality.rounded().values()),
            " ".join(face.flags),
            self._run,
        ]

    def close(self) -> None:
        """Complete both tables, then rename them, the table of frames first; incomplete ones keep temporary names.

        So a table of faces always has its matching table of frames, and only a complete table replaces an older one.
        Without a frame older tables stay.

        Raises:
            SinkError: rows are missing, or a table cannot be renamed.
        """
        older = next(filter(Path.exists, self._names), None)
        if self._is_failed or (older is not None and (self.is_incomplete or not self._has_frames)):
            self._leave()
            self._tell_of_parts(older)
            return
        try:
            self._frames.complete()
            self._faces.complete()
            self._frames.publish()
        except BaseException:
            self._leave()
            raise
        self._faces.publish()
        self.files = (self._path, frames_path(self._path))

    def _tell_of_parts(self, older: Path | None) -> None:
        part = next(filter(Path.exists, map(unfinished_path, self._names)), None)
        if self._is_failed:
            kept = "no row was written" if part is None else f"{part} holds the rows before"
            raise SinkError(f"{self._path} is incomplete; {kept}. Fix: see the failure before this one, and run again")
        if older is not None and part is not None:
            raise KeptBeside(older, part, "rows")

    def _leave(self) -> None:
        for table in (self._frames, self._faces):
            with suppress(SinkError, OSError):  # the first failure is the one to report
                table.leave()


def _cells(emotion: Emotion) -> Row:
    probs = [round(prob, _DIGITS) for prob in map(float, emotion.probs)]
    return [emotion.label, round(emotion.confidence, _DIGITS), *probs]


class CsvSink(TableSink):
    """Two CSV files. A killed run leaves both under temporary names, with complete lines."""

    name = "csv"

    def __init__(
        self,
        path: Path,
        labels: tuple[str, ...],
        *,
        is_corrected: bool = False,
        has_names: bool = False,
        run: RunFingerprint | None = None,
        fix: str = "another --csv",
    ) -> None:
        """Create the files and their folder. The arguments are those of `TableSink`.

        Raises:
            SinkError: they cannot be created.
        """
        super().__init__(path, labels, CsvFile, is_corrected=is_corrected, has_names=has_names, run=run, fix=fix)


class ParquetSink(TableSink):
    """Two Parquet files, written with pyarrow. A killed run leaves folders of parts, each readable."""

    name = "parquet"

    def __init__(
        self,
        path: Path,
        labels: tuple[str, ...],
        *,
        is_corrected: bool = False,
        run: RunFingerprint | None = None,
        fix: str = "another --parquet",
    ) -> None:
        """Create the folders of parts. The arguments are those of `TableSink`.

        Raises:
            MissingDependencyError: pyarrow is not installed.
            SinkError: they cannot be created.
        """
        try:
            leaf = import_module("fer_deploy.live.sinks.tables.parquet_file")
        except ModuleNotFoundError as err:
            raise MissingDependencyError(
                f"cannot write {path}: {err.name} is not installed. Fix: pip install 'fer-toolchain[table]', or --csv"
            ) from err
        super().__init__(path, labels, leaf.ParquetFile, is_corrected=is_corrected, run=run, fix=fix)
