"""planned_row: look at a video, index its packets, and cut it into segments."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import av
from pydantic import ValidationError

from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.archive.manifest import About, Segment, VideoRow, index_name
from fer_deploy.archive.planning.inputs import Found, is_list
from fer_deploy.archive.planning.recorded import recorded_date
from fer_deploy.archive.scratch import scratch_folder
from fer_deploy.archive.segment_plan import segments_from
from fer_deploy.archive.staging import fetch_video, with_address
from fer_deploy.archive.store import Store
from fer_deploy.errors import SinkError, StreamError
from fer_deploy.live.seeking.packet_index import index_of_file
from fer_deploy.live.seeking.position import Position
from fer_deploy.live.sources import PictureSource, open_recording


def planned_rows(
    found: list[Found],
    about: About,
    store: Store,
    *,
    jobs: int,
    scratch: Path | None = None,
    on_row: Callable[[VideoRow], None] = lambda row: None,
) -> list[VideoRow]:
    """Return a row for each file. What an earlier, stopped call has planned is used again.

    Args:
        found: the files.
        about: settings and models.
        store: gets the indexes.
        jobs: threads that read files at once.
        scratch: folder for copies of remote videos; None: the system's.
        on_row: called with each row as soon as it is known, in the order of the files.

    Raises:
        SinkError: the store cannot be written.
    """
    rows = []
    with scratch_folder(scratch) as folder, ThreadPoolExecutor(jobs) as pool:
        for row in pool.map(lambda one: _row(one, about, store, folder), found):
            on_row(row)
            rows.append(row)
    return rows


def _row(found: Found, about: About, store: Store, scratch: Path) -> VideoRow:
    address = found.address
    if found.reason:
        return _without_video(found, found.reason)
    if found.etag and (known := _known(_id(address, f"etag:{found.etag}"), about, store)):
        return known  # without a copy
    folder, digest = Path(tempfile.mkdtemp(dir=scratch)), ""
    try:
        path, digest = fetch_video(address, folder)
        video_id = _id(address, digest)
        known = _known(video_id, about, store)
        if known is not None:
            return known
        row = VideoRow(id=video_id, address=address, size=found.size, digest=digest)
        row = _looked_at(row, path, about, store, folder)
        row = row.model_copy(update=recorded_date(path, found.written_s)._asdict())
    except SinkError:
        raise
    except (StreamError, av.FFmpegError, OSError, ValueError) as err:
        if is_list(address):
            return _without_video(found, f"it is text, expected a video; a list of videos is @{address}", digest)
        return _without_video(found, with_address(str(err), folder / "video", address).partition(" Fix: ")[0], digest)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    store.write(_row_name(video_id, about), row.model_dump_json().encode())
    return row


def _id(address: str, digest: str) -> str:
    return hashlib.sha256(f"{address}\n{digest}".encode()).hexdigest()[:16]


def _without_video(found: Found, reason: str, digest: str = "") -> VideoRow:
    """Return the row of a file that is no video, or with an empty digest of one that could not be read."""
    return VideoRow(id=_id(found.address, ""), address=found.address, size=found.size, digest=digest, reason=reason)


def _row_name(video_id: str, about: About) -> str:
    return f"index/{video_id}.{about.config.frames_per_segment}.json"


def _known(video_id: str, about: About, store: Store) -> VideoRow | None:
    content = store.read(_row_name(video_id, about))
    try:
        return None if content is None else VideoRow.model_validate_json(content)
    except ValidationError:  # of another version
        return None


def _looked_at(row: VideoRow, path: Path, about: About, store: Store, folder: Path) -> VideoRow:
    with closing(Recording(open_recording(path))) as recording:
        if isinstance(recording.source, PictureSource):
            raise StreamError(f"{row.shown} is a picture, expected a video")
        first = recording.peek()
        start = recording.reached().position
        assert first is not None  # else peek raises
        source = recording.source
        fps, announced = source.fps, source.num_frames or 0
        codec = source.codec
    index = index_of_file(path)
    assert index is not None
    file = folder / "packets.npz"
    index.save(file)
    store.send(file, index_name(row.id))
    why_not = index.why_not if start is not None else "its frames have no positions"
    num_frames = index.num_frames or announced
    start = start or Position(index=0, pts=None)
    segments: tuple[Segment, ...] = (Segment(0, 0, num_frames, start.model_dump_json()),)
    if not why_not:
        segments = tuple(segments_from(index, Segment(0, 0, 0, start.model_dump_json()), first.size, about))
    known = {
        "duration_s": num_frames / fps if fps else 0.0,
        "codec": codec,
        "fps": fps,
        "num_frames": num_frames,
        "width": first.size[0],
        "height": first.size[1],
        "why_not": why_not,
        "segments": segments,
    }
    return row.model_copy(update=known)
