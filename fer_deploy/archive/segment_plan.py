"""Segments of a video as its packets predict them, and from where a proven position replaced a predicted one.

A predicted position is wrong where a packet gives no frame, or the size of the frames changes. `join` finds that, and
leaves a mark with the position where the segment before really ended. From there the positions are predicted again,
and after several marks the rest of the video is one segment, which needs no prediction.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fer_deploy.archive.manifest import About, Manifest, Segment, VideoRow, again_name, ids_and_numbers, index_name
from fer_deploy.archive.store import Store
from fer_deploy.live.seeking.packet_index import PacketIndex
from fer_deploy.live.seeking.position import Position

MOST_MARKS: Final = 3
"""Wrong predictions of a video, after which its rest is read in order."""


def segments_from(index: PacketIndex, begin: Segment, size: tuple[int, int], about: About) -> Iterator[Segment]:
    """Yield the segments from one on, as the packets predict them.

    Args:
        index: of the video.
        begin: number and start of the first one.
        size: width and height of the video's frames.
        about: the settings.
    """
    num_frames, now, number = about.config.frames_per_segment, begin.position, begin.number
    while True:
        after = index.ahead(now, num_frames, size=size)
        num = num_frames if after is not None else max(1, index.num_frames - now.index)
        yield Segment(number, now.index, num, now.model_dump_json())
        if after is None:
            return
        now, number = after, number + 1


def mark_again(store: Store, row: VideoRow, number: int, proven: Position) -> None:
    """Leave a mark that a video is to be continued at a proven position; raises SinkError."""
    store.write(again_name(row, number), proven.model_dump_json().encode())


def plans(manifest: Manifest, store: Store) -> dict[str, tuple[Segment, ...]]:
    """Return the segments of each video, by its id.

    Raises:
        SinkError: the store cannot be read.
    """
    marked: dict[str, list[int]] = {}
    for video_id, number in ids_and_numbers(store.list("again")):
        marked.setdefault(video_id, []).append(number)
    return {
        row.id: segments_now(row, sorted(marked[row.id]), manifest.about, store) if row.id in marked else row.segments
        for row in manifest.rows.values()
    }


def segments_now(row: VideoRow, marks: Iterable[int], about: About, store: Store) -> tuple[Segment, ...]:
    """Return the segments of a video with marks, given by the numbers of their segments."""
    segments, index = row.segments, packet_index(row, store)
    for num, number in enumerate(sorted(marks), 1):
        proven = _marked(store, row, number)
        if proven is None:
            continue
        begin = Segment(number, proven.index, max(1, row.num_frames - proven.index), proven.model_dump_json())
        rest: Iterable[Segment] = [begin]
        if index is not None and num < MOST_MARKS:
            rest = segments_from(index, begin, row.size_of_picture, about)
        segments = (*(one for one in segments if one.number < number), *rest)
    return segments


def _marked(store: Store, row: VideoRow, number: int) -> Position | None:
    """Return the position in a mark; None if the mark is gone or damaged, since `join` writes it again."""
    content = store.read(again_name(row, number))
    try:
        return None if content is None else Position.model_validate_json(content)
    except ValidationError:
        return None


def packet_index(row: VideoRow, store: Store) -> PacketIndex | None:
    """Return the index of a video's packets; None if it has none."""
    if row.why_not:
        return None
    with tempfile.TemporaryDirectory(prefix="fer-deploy-") as folder:
        file = Path(folder) / "packets.npz"
        return PacketIndex.load(file) if store.fetch(index_name(row.id), file) else None
