"""Pictures of people: the best frame of each person and a thumbnail, taken from the recording after the analysis.

They are stored in people.parquet, by track, so that people can be named and merged later without the recording.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_deploy.analyze.people.best_frames import BestFrame, best_frames
from fer_deploy.analyze.report.summary import Person
from fer_deploy.analyze.whole_file import whole_file
from fer_deploy.errors import StreamError
from fer_deploy.files.parquet_table import read_parquet
from fer_deploy.live.drawing.anonymize import Method, anonymized
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint
from fer_deploy.live.seeking.opening import open_at
from fer_deploy.live.seeking.packet_index import PacketIndex, index_of_file
from fer_deploy.live.seeking.position import Position
from fer_deploy.live.sources import VideoSource, open_recording
from fer_deploy.vision.types import Box, Frame, FrameResult

MOST_DECODED: Final = 3000
"""Frames that are decoded in order where a recording cannot be sought in; people who appear later have no picture."""
_THUMBNAIL_PX, _WIDTH_PX = 128, 480
_AROUND: Final = 1.9
"""Side of the thumbnail, in the longer side of the face's box."""
_QUALITY: Final = [cv2.IMWRITE_JPEG_QUALITY, 78]
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_SAME_S: Final = 1e-3
_COLUMNS: Final = {
    **{"track": pa.int64(), "frame": pa.int64(), "time_s": pa.float64(), "score": pa.float64()},
    **{"thumbnail": pa.binary(), "picture": pa.binary()},
}


class PersonPicture(NamedTuple):
    """Pictures of one person.

    Attributes:
        track: of the person.
        frame: index of the frame.
        time_s: of the frame.
        score: see `BestFrame`.
        thumbnail: JPEG of the face.
        picture: JPEG of the whole frame, with a box around the face.
    """

    track: int
    frame: int
    time_s: float
    score: float
    thumbnail: bytes
    picture: bytes


def take_pictures(
    video: Path,
    faces: Path,
    tracks: Sequence[int],
    index: Callable[[], PacketIndex | None],
    *,
    method: Method | None,
    keep_s: float,
) -> list[PersonPicture]:
    """Read the best frame of each track from the recording; a few seeks.

    Args:
        video: the recording.
        faces: faces.parquet of its analysis.
        tracks: numbers of the tracks.
        index: returns the index of the recording's packets, if it is known; else they are read.
        method: covers all faces in the pictures, as in the annotated video. Only frames in which every face that was
            seen within `keep_s` is in view are used, since the table does not say where the others are.
        keep_s: seconds for which a face that was lost is expected to come back.

    Raises:
        StreamError, OSError, av.FFmpegError: the recording cannot be opened.
    """
    with closing(open_recording(video)) as source:
        is_video = isinstance(source, VideoSource)
    packets = (index() or index_of_file(video)) if is_video else None
    can_seek = packets is not None and not packets.why_not
    found = best_frames(
        faces,
        tracks,
        most_frames=None if can_seek else MOST_DECODED,
        all_in_view_s=None if method is None else keep_s,
    )
    frames = _sought(video, found, packets) if packets is not None and can_seek else _in_order(video, found)
    return [_picture(one, frame, method) for one, frame in frames]


def _sought(video: Path, found: Iterable[BestFrame], index: PacketIndex) -> Iterator[tuple[BestFrame, Frame]]:
    """Yield the frames at their times; those that cannot be decoded from a keyframe are left out."""
    source = open_recording(video)
    assert isinstance(source, VideoSource)  # pictures have no index of packets
    with closing(source):
        first = next(source.frames())
        start = source.before
    assert start is not None
    size, times_s = (first.frame_bgr.shape[1], first.frame_bgr.shape[0]), index.times_from(start)
    for one in found:
        num_after = int(np.argmin(np.abs(times_s - one.time_s)))
        position = index.ahead(start, num_after, size=size) if num_after else None
        frame = first if num_after == 0 else None if position is None else _frame_at(video, position, index)
        if frame is not None and abs(frame.time_s - one.time_s) < _SAME_S:
            yield one, frame


def _frame_at(video: Path, position: Position, index: PacketIndex) -> Frame | None:
    try:
        opened = open_at(video, position, index, decodes=False)
        if opened is None:
            return None
        with closing(opened.source):
            return next(opened.source.frames(), None)
    except StreamError:
        return None


def _in_order(video: Path, found: Sequence[BestFrame]) -> Iterator[tuple[BestFrame, Frame]]:
    if not found:
        return
    num = max(one.frame for one in found) + 1
    with closing(open_recording(video)) as source:
        for frame in islice(source.frames(), num):
            yield from ((one, frame) for one in found if frame.index == one.frame)


def _picture(one: BestFrame, frame: Frame, method: Method | None) -> PersonPicture:
    shown = anonymized(FrameResult(frame, (), hidden=one.boxes), method).frame.frame_bgr
    thumbnail, picture = _jpeg(_thumbnail(shown, one.box)), _jpeg(_scaled_with_box(shown, one.box))
    return PersonPicture(one.track, one.frame, one.time_s, one.score, thumbnail, picture)


def _thumbnail(frame_bgr: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return a square around the face, at most `_THUMBNAIL_PX` wide."""
    height, width = frame_bgr.shape[:2]
    side = min(width, height, round(_AROUND * max(box.x2 - box.x1, box.y2 - box.y1)))
    left, top = (
        min(max(0, round((start + end - side) / 2)), most - side)
        for start, end, most in ((box.x1, box.x2, width), (box.y1, box.y2, height))
    )
    part = frame_bgr[top : top + side, left : left + side]
    return _resized(part, min(1.0, _THUMBNAIL_PX / side))


def _scaled_with_box(frame_bgr: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    scale = min(1.0, _WIDTH_PX / frame_bgr.shape[1])
    picture = _resized(frame_bgr, scale).copy()
    corners = (round(box.x1 * scale), round(box.y1 * scale)), (round(box.x2 * scale) - 1, round(box.y2 * scale) - 1)
    for color, thickness in ((_BLACK, 4), (_WHITE, 2)):
        cv2.rectangle(picture, *corners, color, thickness)
    return picture


def _resized(frame_bgr: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    height, width = frame_bgr.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(frame_bgr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    _, encoded = cv2.imencode(".jpg", picture, _QUALITY)
    return encoded.tobytes()


def write_pictures(path: Path, pictures: Sequence[PersonPicture], run: RunFingerprint | None = None) -> None:
    """Write people.parquet, a row for each person, in the order of their tracks; its metadata names the run.

    Raises:
        SinkError: it cannot be written.
    """
    rows = [picture._asdict() for picture in sorted(pictures, key=lambda one: one.track)]
    table = pa.Table.from_pylist(
        rows, schema=pa.schema(list(_COLUMNS.items()), metadata=None if run is None else run.metadata())
    )
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        pq.write_table(table, file)


def pictures_of_people(path: Path, people: Sequence[Person]) -> dict[int, PersonPicture]:
    """Return the best picture of each person by `track`, of all their tracks; empty without people.parquet."""
    try:
        with path.open("rb") as file:
            rows = read_parquet(file).to_pylist()
    except FileNotFoundError:
        return {}
    known = {row["track"]: PersonPicture(**row) for row in rows}
    mine = {person.track: [known[track] for track in person.all_tracks if track in known] for person in people}
    return {track: max(pictures, key=lambda one: one.score) for track, pictures in mine.items() if pictures}
