"""Status: what of an archive is done, missing and given up."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from fer_deploy.archive.dead_letters import dead_letters, given_up
from fer_deploy.archive.estimate import estimate, samples_from
from fer_deploy.archive.manifest import Manifest, ids_and_numbers
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import abouts_of, all_work, finished, segment_files

_MOST_READ: Final = 300
"""Finished segments whose files are read, for their costs and for damage; of more, these are evenly spread."""
_RECENT_S: Final = 600.0


class Status(NamedTuple):
    """Counts of segments and frames, and costs.

    Attributes:
        num_videos: that can be analyzed.
        num_unusable: files that are no video, or cannot be read.
        num_done: segments.
        num_read: of these and the damaged ones, those whose files were read; the others may be damaged, too.
        num_damaged: segments whose files are damaged, or of another plan; they are missing.
        num_missing: segments.
        num_dead: segments.
        dead_by_kind: their numbers.
        frames_done: in finished segments, as announced.
        frames_total: as announced.
        core_hours: that the finished segments took; estimated if there are many.
        core_hours_left: for the missing ones.
        eta_s: at the speed of the last ten minutes, or since the first of them; None if nothing was finished in them.
    """

    num_videos: int
    num_unusable: int
    num_done: int
    num_read: int
    num_damaged: int
    num_missing: int
    num_dead: int
    dead_by_kind: dict[str, int]
    frames_done: int
    frames_total: int
    core_hours: float
    core_hours_left: float | None
    eta_s: float | None

    @property
    def is_all_read(self) -> bool:
        """Whether the files of all finished segments were read, so that none of them is damaged."""
        return self.num_read == self.num_done + self.num_damaged

    def as_json(self, price_per_core_hour: float) -> dict[str, Any]:
        """Return the values by their names, with the money so far; None without a price, which is 0."""
        return self._asdict() | {"money": self.core_hours * price_per_core_hour if price_per_core_hour else None}


def status(store: Store, manifest: Manifest, *, now_s: float | None = None) -> Status:
    """Look at the store; only the files of some segments are read.

    Raises:
        SinkError: the store cannot be read.
    """
    works = all_work(manifest, plans(manifest, store))
    entries = segment_files(store)
    marked = {video_id for video_id, _ in ids_and_numbers(store.list("again"))}
    there = ids_and_numbers(entries)
    there -= {work.place for work in works if work.row.id in marked} - finished(
        store, [work for work in works if work.row.id in marked]
    )
    done = [work for work in works if work.place in there]
    read = done[:: -(-len(done) // _MOST_READ) or 1]
    abouts = list(zip(read, abouts_of(store, read), strict=True))
    damaged = {work.place for work, about in abouts if about is None}
    done, there = [work for work in done if work.place not in damaged], there - damaged
    letters = dead_letters(store).values()
    dead = given_up(store, [work for work in works if work.place not in there])
    frames_done = sum(work.segment.num_frames for work in done)
    left = sum(work.segment.num_frames for work in works if work.place not in there | dead)
    samples = samples_from([(work, about) for work, about in abouts if about is not None], entries)
    spent, to_come = estimate(samples, frames_done), estimate(samples, left)
    recent = [entries[work.name].written_s for work in done]
    return Status(
        num_videos=sum(bool(row.segments) for row in manifest.rows.values()),
        num_unusable=sum(not row.segments for row in manifest.rows.values()),
        num_done=len(done),
        num_read=len(read),
        num_damaged=len(damaged),
        num_missing=len(works) - len(done) - len(dead),
        num_dead=len(dead),
        dead_by_kind=dict(Counter(letter.kind for letter in letters if letter.place in dead)),
        frames_done=frames_done,
        frames_total=sum(work.segment.num_frames for work in works),
        core_hours=0.0 if spent is None else spent.core_hours,
        core_hours_left=None if to_come is None else to_come.core_hours,
        eta_s=_eta_s(recent, len(works) - len(done) - len(dead), time.time() if now_s is None else now_s),
    )


def _eta_s(written_s: Sequence[float], num_left: int, now_s: float) -> float | None:
    recent = [one for one in written_s if now_s - one <= _RECENT_S]
    if not recent:
        return None
    return num_left / len(recent) * max(1.0, now_s - min(recent))
