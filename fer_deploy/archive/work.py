"""Work: which segments a run is to compute, in which order."""

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NamedTuple

from fer_deploy.analyze.segments.observations import SegmentAbout, read_about
from fer_deploy.archive.manifest import Manifest, Segment, VideoRow, ids_and_numbers, segment_name
from fer_deploy.archive.shard import Shard, place_of
from fer_deploy.archive.store import Entry, PassingFault, Store
from fer_deploy.errors import ArtifactError

_SEED: Final = 20_260
_READERS: Final = 16
_LEAST_BYTES: Final = 12
"""Of a Parquet file: its first and last four letters, and the length of its footer."""
_LIST_EVERY_S: Final = 60.0
_LIST_SHARE: Final = 50
"""At most this part of the time is spent on lists of the store: a million files on S3 take a minute."""


class Work(NamedTuple):
    """A segment to compute.

    Attributes:
        row: its video.
        segment: the segment.
        is_last: whether it ends with the video.
        key: of what it depends on; the description of a finished one has it.
    """

    row: VideoRow
    segment: Segment
    is_last: bool
    key: str

    @property
    def name(self) -> str:
        """Name of its observations in the store."""
        return segment_name(self.row, self.segment.number)

    @property
    def place(self) -> tuple[str, int]:
        """Id of the video and number of the segment."""
        return self.row.id, self.segment.number


def all_work(manifest: Manifest, plan: Mapping[str, tuple[Segment, ...]]) -> list[Work]:
    """Return all segments of an archive, finished or not, in their order."""
    return [
        Work(row, segment, number == len(plan[row.id]) - 1, manifest.key(row, segment))
        for row in manifest.rows.values()
        for number, segment in enumerate(plan[row.id])
    ]


def in_shards(works: list[Work], shard: Shard) -> tuple[list[Work], list[Work]]:
    """Return the work of a shard in its order, and that of the others as this shard helps with it: from their ends."""
    places = {work.place: place_of(*work.place, is_remote="://" in work.row.address) for work in works}
    groups = sorted(set(places.values()))
    random.Random(_SEED).shuffle(groups)
    order = {group: number for number, group in enumerate(groups)}
    ordered = sorted(works, key=lambda work: (order[places[work.place]], work.place))
    own = [work for work in ordered if shard.takes(places[work.place])]
    others = [work for work in reversed(ordered) if not shard.takes(places[work.place])]
    return own, others


def about_segment(store: Store, name: str, *, all_bytes: bool) -> SegmentAbout | None:
    """Return the description of a finished segment; None if it is damaged or too old. See `read_about`."""
    try:
        return store.read_with(name, lambda file: read_about(file, name, all_bytes=all_bytes))
    except ArtifactError:
        return None


def about_done(store: Store, work: Work, *, all_bytes: bool) -> SegmentAbout | None:
    """Return the description of a segment that has a file; None if that is damaged, or depends on something else."""
    about = about_segment(store, work.name, all_bytes=all_bytes)
    return about if about is not None and about.key == work.key else None


def is_done(store: Store, work: Work) -> bool:
    """Return whether a segment is finished: its file is there, not truncated, and depends on what it should.

    Its end alone is read: of thousands of hours, all bytes would be hundreds of gigabytes in each shard. Bytes that
    changed are found by `join`, by `verify`, and by `remove_damaged`.
    """
    return store.exists(work.name) and about_done(store, work, all_bytes=False) is not None


def segment_files(store: Store) -> dict[str, Entry]:
    """Return the files of segments by their names; without those that are too small, as a full disk leaves them."""
    return {name: entry for name, entry in store.list("segments").items() if entry.size >= _LEAST_BYTES}


def places_of_files(store: Store) -> set[tuple[str, int]]:
    """Return the places of all segments that have a file, whatever it depends on."""
    return ids_and_numbers(segment_files(store))


def without_finished(works: Iterable[Work], store: Store, old: set[tuple[str, int]]) -> Iterator[Work]:
    """Yield the works that no run has finished since; the store is listed once a minute, or seldom if that takes long.

    Args:
        works: that were not finished.
        store: the archive.
        old: places whose files are there, but are to be computed again.
    """
    there: set[tuple[str, int]] = set()
    begun_s = listed_s = time.monotonic()
    for work in works:
        if time.monotonic() - listed_s > max(_LIST_EVERY_S, _LIST_SHARE * (listed_s - begun_s)):
            begun_s = time.monotonic()
            with suppress(PassingFault):  # the list saves work alone
                there = places_of_files(store) - old
            listed_s = time.monotonic()
        if work.place not in there:
            yield work


def finished(store: Store, works: list[Work]) -> set[tuple[str, int]]:
    """Return the places of the works that are finished; reads the end of the files of those that have one."""
    there = places_of_files(store)
    candidates = [work for work in works if work.place in there]
    with ThreadPoolExecutor(_READERS) as pool:
        done = pool.map(lambda work: is_done(store, work), candidates)
        return {work.place for work, is_there in zip(candidates, done, strict=True) if is_there}


def abouts_of(store: Store, works: Sequence[Work]) -> list[SegmentAbout | None]:
    """Return the description of each work that has a file; None where that is damaged, or depends on something else."""
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda work: about_done(store, work, all_bytes=True), works))


def remove_damaged(store: Store, works: Sequence[Work]) -> int:
    """Read all files of segments, and remove those that are damaged, so that the next run computes them.

    Returns:
        The number of files that are removed.

    Raises:
        SinkError: the store cannot be read, or a file cannot be removed.
    """
    there = places_of_files(store)
    candidates = [work for work in works if work.place in there]
    damaged = [
        work
        for work, about in zip(candidates, abouts_of(store, candidates), strict=True)
        if about is None and is_done(store, work)
    ]
    for work in damaged:
        store.remove(work.name)
    return len(damaged)


def remaining(works: list[Work], without: set[tuple[str, int]]) -> Iterator[Work]:
    """Yield the works whose places are not in a set."""
    return (work for work in works if work.place not in without)
