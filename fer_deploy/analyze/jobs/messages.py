"""Messages between the parent and its worker processes. Both are of one installation, so they are pickled."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from fer_deploy.analyze.config import USUAL_SEGMENT_FRAMES
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.models import Models
from fer_deploy.analyze.segments.recording import Reached
from fer_deploy.analyze.segments.selection import ALL_FRAMES, Selection
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.drawing.anonymize import Method
from fer_deploy.live.output_files import VideoCodec
from fer_deploy.live.seeking.position import Position
from fer_deploy.vision.types import Box, FaceResult

Recipe = Callable[[], AbstractContextManager[Models]]
"""Opens the models in a worker; a function of a module, or a partial of one."""


@dataclass(frozen=True)
class Index:
    """Task: read the packets of a video, and write their index.

    Attributes:
        video: the file, with an optional #N for the stream.
        path: of the index.
    """

    video: Path
    path: Path


@dataclass(frozen=True)
class Observe:
    """Task: observe a segment, and write its observations.

    Attributes:
        video: the file.
        index: file of its index; None if there is none yet.
        number: of the segment.
        start: position of its first frame, proven or predicted.
        num_frames: of a whole segment.
        first_size: of the video's first frame.
        config: of the analysis.
        fingerprint: of the analysis.
        path: of the observations.
        decodes: whether all frames before may be decoded if no keyframe leads to the first one. Then its number decides
            where the segment begins, and the segment is empty if the recording ends before.
        key: text for the description of the observations.
        selection: which frames are analyzed.
        group_frames: frames that are read in one run of the loop; a multiple of the frames of its batches. See
            `AnalyzeConfig.segment_multiple`.
    """

    video: Path
    index: Path | None
    number: int
    start: Position
    num_frames: int
    first_size: tuple[int, int]
    config: PipelineConfig
    fingerprint: Fingerprint
    path: Path
    decodes: bool = False
    key: str = ""
    selection: Selection = ALL_FRAMES
    group_frames: int = 10 * USUAL_SEGMENT_FRAMES


@dataclass(frozen=True)
class Draw:
    """Task: decode a segment once more, and write its part of the annotated video.

    Attributes:
        video: the file.
        index: file of its index; None if there is none.
        number: of the segment.
        start: position of its first frame, proven.
        frames: numbers of the frames with results, in their order.
        faces: of each of these.
        hidden: places of faces without a result, of each of these.
        anonymize: how faces are covered; None: not at all.
        labels: of the classifier.
        fps: of the video.
        size: of the annotated video.
        codec: of the annotated video.
        path: of the part.
    """

    video: Path
    index: Path | None
    number: int
    start: Position
    frames: tuple[int, ...]
    faces: tuple[tuple[FaceResult, ...], ...]
    hidden: tuple[tuple[Box, ...], ...]
    anonymize: Method | None
    labels: tuple[str, ...]
    fps: float
    size: tuple[int, int]
    codec: VideoCodec
    path: Path


Task = Index | Observe | Draw


@dataclass(frozen=True)
class Progress:
    """Message: frames of the current segment that are done."""

    num_frames: int


@dataclass(frozen=True)
class Indexed:
    """Reply to `Index`: the file is written, or the packets cannot be read, and no file is there."""


@dataclass(frozen=True)
class Observed:
    """Reply to `Observe`.

    Attributes:
        start: position of the first frame as the worker's reader found it, with its digest.
        end: state of the recording after the segment.
    """

    start: Position | None
    end: Reached


@dataclass(frozen=True)
class Drawn:
    """Reply to `Draw`: the part is complete."""


@dataclass(frozen=True)
class Failed:
    """Reply to any task: it failed, or the models could not be opened.

    Attributes:
        error: what was raised.
        is_of_models: whether the models could not be opened, so no task can be done.
    """

    error: Exception
    is_of_models: bool = False


@dataclass(frozen=True)
class Died:
    """What the parent notes in place of a reply: the process ended without one; `how` says how."""

    how: str


Reply = Indexed | Observed | Drawn | Failed
Message = Progress | Reply | Died
