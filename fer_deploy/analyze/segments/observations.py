"""Observations: what detector and classifier find in each frame of a segment, before faces become people.

They do not depend on other frames, so any process may compute them in any order. A file holds those of one segment.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.segments.recording import Reached
from fer_deploy.analyze.whole_file import whole_file
from fer_deploy.errors import ArtifactError
from fer_deploy.live.seeking.position import Position
from fer_deploy.vision.types import Box, Detection

SCHEMA_VERSION: Final = 1
_ABOUT: Final = b"fer_deploy.observations"
"""Key of the description in the file's metadata."""
_FACE: Final = pa.struct(
    [
        *((name, pa.int32()) for name in ("x1", "y1", "x2", "y2")),
        ("score", pa.float64()),
        ("landmarks", pa.list_(pa.float64())),  # x, y of the five points; null if the detector gives none
        ("probs", pa.list_(pa.float32())),
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
    """One face: its detection, and the classifier's probabilities (C,) float32 at full precision."""

    detection: Detection
    probs: NDArray[np.float32]


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
    cpu_s: float = 0.0


def write_observations(path: Path, observations: Sequence[Observation], about: SegmentAbout) -> None:
    """Write the observations of a segment as Parquet, under a temporary name until the file is complete.

    Raises:
        SinkError: the file cannot be written.
    """
    rows = [_row(one) for one in observations]
    schema = _SCHEMA.with_metadata({_ABOUT: about.model_dump_json().encode()})
    with whole_file(path) as draft, draft.open("wb") as file:  # Arrow would read a path with a colon as a URL
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")


def read_observations(path: Path) -> tuple[list[Observation], SegmentAbout]:
    """Read the observations of a segment, and their description.

    Raises:
        ArtifactError: the file is missing, damaged, or of another version.
    """
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
    except (OSError, pa.ArrowException) as err:
        raise ArtifactError(
            f"{path} has no observations of this version: {type(err).__name__}. Fix: analyze again with --restart"
        ) from err
    about = about_in_schema(table.schema, path)
    return [_observation(row) for row in table.to_pylist()], about


def about_in_schema(schema: pa.Schema, name: Path | str) -> SegmentAbout:
    """Return the description in a file's metadata; `name` is the file's, for messages.

    Raises:
        ArtifactError: there is none of this version.
    """
    try:
        about = SegmentAbout.model_validate_json((schema.metadata or {})[_ABOUT])
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
    return ObservedFace(detection, np.asarray(row["probs"], dtype=np.float32))
