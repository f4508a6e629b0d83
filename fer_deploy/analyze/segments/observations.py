"""Observations: what detector and classifier find in each frame of a segment, before faces become people.

They do not depend on other frames, so any process may compute them in any order. A file holds those of one segment.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.segments.recording import Reached
from fer_deploy.analyze.segments.seal import SealedFile, is_sealed
from fer_deploy.analyze.whole_file import whole_file
from fer_deploy.errors import ArtifactError
from fer_deploy.live.seeking.position import Position
from fer_deploy.vision.quality import QUALITY_NAMES, FaceQuality
from fer_deploy.vision.types import Box, Detection

SCHEMA_VERSION: Final = 3
_ABOUT: Final = b"fer_deploy.observations"
"""Key of the description in the file's metadata."""
_FACE: Final = pa.struct(
    [
        *((name, pa.int32()) for name in ("x1", "y1", "x2", "y2")),
        ("score", pa.float64()),
        ("landmarks", pa.list_(pa.float64())),  # x, y of the five points; null if the detector gives none
        ("probs", pa.list_(pa.float32())),
        *((name, pa.float64()) for name in QUALITY_NAMES),
        ("face_geometry", pa.bool_()),
    ]
)
_SCHEMA: Final = pa.schema(
    [
        ("frame", pa.int64()),
        ("time_s", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("faces", pa.list_(_FACE)),
    ]
)


class ObservedFace(NamedTuple):
    """One face: its detection, the classifier's probabilities (C,) float32 at full precision, and its quality."""

    detection: Detection
    probs: NDArray[np.float32]
    quality: FaceQuality


class Observation(NamedTuple):
    """One frame.

    Attributes:
        frame: its index in the recording.
        time_s: position in the recording, in seconds.
        size: width and height.
        faces: in the detector's order, without duplicates.
    """

    frame: int
    time_s: float
    size: tuple[int, int]
    faces: tuple[ObservedFace, ...]


class SegmentAbout(BaseModel):
    """Description of a segment, in the metadata of its file.

    Attributes:
        schema_version: of the file.
        fingerprint: of everything that the observations depend on.
        number: of the segment, from 0.
        labels: the classifier's labels, in the order of `probs`.
        start: position of the first frame, as its reader found it; None for a file without positions.
        end: state of the recording after the last frame.
        key: of the task that asked for it; see `Observe`.
        num_left_out: frames of the segment that were read and have no row.
        cpu_s: CPU seconds that it took, over all threads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA_VERSION
    fingerprint: Fingerprint
    number: int
    labels: tuple[str, ...]
    start: Position | None
    end: Reached
    key: str = ""
    num_left_out: int = 0
    cpu_s: float = 0.0


def write_observations(path: Path, observations: Sequence[Observation], about: SegmentAbout) -> None:
    """Write the observations of a segment as Parquet, under a temporary name until the file is complete.

    Raises:
        SinkError: the file cannot be written.
    """
    with observations_file(path) as file:
        file.add(observations)
        file.finish(about)


class ObservationsFile:
    """A file of observations that is being written, a group of frames at a time."""

    def __init__(self, writer: pq.ParquetWriter, file: SealedFile) -> None:
        """See `observations_file`."""
        self._writer, self._file = writer, file

    def add(self, observations: Sequence[Observation]) -> None:
        """Append the next frames."""
        self._writer.write_table(pa.Table.from_pylist([_row(one) for one in observations], schema=_SCHEMA))

    def finish(self, about: SegmentAbout) -> None:
        """Add the description, which is known at the end, and seal the file."""
        self._writer.add_key_value_metadata({_ABOUT: about.model_dump_json().encode()})
        self._file.begin_footer()


@contextmanager
def observations_file(path: Path) -> Iterator[ObservationsFile]:
    """Yield a file of observations; it has a temporary name until the block succeeds.

    Raises:
        SinkError: the file cannot be written.
    """
    with whole_file(path) as draft, draft.open("wb") as file:  # Arrow would read a path with a colon as a URL
        sealed = SealedFile(file)
        with pq.ParquetWriter(sealed, _SCHEMA, compression="zstd") as writer:
            yield ObservationsFile(writer, sealed)
        sealed.seal()


def read_observations(path: Path) -> tuple[list[Observation], SegmentAbout]:
    """Read the observations of a segment, and their description.

    Raises:
        ArtifactError: the file is missing, damaged, or of another version.
    """
    try:
        with opened_observations(path) as (observations, about):
            return list(observations), about
    except OSError as err:
        raise ArtifactError(
            f"{path} has no observations of this version: {type(err).__name__}. Fix: analyze again with --restart"
        ) from err


@contextmanager
def opened_observations(path: Path) -> Iterator[tuple[Iterator[Observation], SegmentAbout]]:
    """Yield the observations of a segment, which are read a group of frames at a time, and their description.

    Raises:
        ArtifactError: as `read_observations`.
        OSError: the system cannot read it now.
    """
    with path.open("rb") as opened:
        about = read_about(opened, path)
        yield _in_groups(pq.ParquetFile(opened), path), about


def _in_groups(file: pq.ParquetFile, path: Path) -> Iterator[Observation]:
    for number in range(file.num_row_groups):
        try:
            rows = file.read_row_group(number).to_pylist()
        except (OSError, pa.ArrowException) as err:
            if _is_of_system(err):
                raise
            raise _damaged(path, type(err).__name__) from err
        yield from map(_observation, rows)


def _is_of_system(err: Exception) -> bool:
    """Return whether a file could not be read at all; Arrow's errors of its content are OSErrors, too."""
    return isinstance(err, OSError) and err.errno is not None


def _damaged(name: Path | str, why: str) -> ArtifactError:
    return ArtifactError(f"{name} is damaged: {why}. Fix: compute this segment again")


def read_about(file: IO[bytes], name: Path | str, *, all_bytes: bool = True) -> SegmentAbout:
    """Return the description of a file.

    Args:
        file: open.
        name: of the file, for messages.
        all_bytes: read the whole file and compare it with its seal; else its end, which shows that it is not truncated.

    Raises:
        ArtifactError: it is damaged, or has no description of this version.
        OSError: the system cannot read it now.
    """
    try:
        if all_bytes and not is_sealed(file):
            raise _damaged(name, "its bytes are not those that were written")
        found = pq.read_metadata(file).metadata or {}
    except (OSError, pa.ArrowException) as err:
        if _is_of_system(err):
            raise
        raise _damaged(name, type(err).__name__) from err
    try:
        about = SegmentAbout.model_validate_json(found[_ABOUT])
    except (KeyError, ValidationError) as err:
        raise ArtifactError(
            f"{name} has no observations of this version: {type(err).__name__}. Fix: analyze again with --restart"
        ) from err
    if about.schema_version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{name} has observations of version {about.schema_version}, expected {SCHEMA_VERSION}. Fix: --restart"
        )
    return about


def _row(one: Observation) -> dict[str, Any]:
    width, height = one.size
    faces = [_face_row(face) for face in one.faces]
    return {"frame": one.frame, "time_s": one.time_s, "width": width, "height": height, "faces": faces}


def _face_row(face: ObservedFace) -> dict[str, Any]:
    box, points = face.detection.box, face.detection.landmarks
    return {
        "x1": box.x1,
        "y1": box.y1,
        "x2": box.x2,
        "y2": box.y2,
        "score": face.detection.score,
        "landmarks": None if points is None else [value for point in points for value in point],
        "probs": face.probs.tolist(),
        **face.quality.values(),
        "face_geometry": face.quality.has_face_geometry,
    }


def _observation(row: dict[str, Any]) -> Observation:
    faces = tuple(map(_face, row["faces"]))
    return Observation(row["frame"], row["time_s"], (row["width"], row["height"]), faces)


def _face(row: dict[str, Any]) -> ObservedFace:
    landmarks = None
    if row["landmarks"] is not None:
        values = iter(row["landmarks"])
        right_eye, left_eye, nose, right_mouth, left_mouth = zip(values, values, strict=True)
        landmarks = right_eye, left_eye, nose, right_mouth, left_mouth
    detection = Detection(Box(row["x1"], row["y1"], row["x2"], row["y2"]), row["score"], landmarks)
    quality = FaceQuality.from_values(
        {name: row[name] for name in QUALITY_NAMES}, score=row["score"], has_face_geometry=row["face_geometry"]
    )
    return ObservedFace(detection, np.asarray(row["probs"], dtype=np.float32), quality)
