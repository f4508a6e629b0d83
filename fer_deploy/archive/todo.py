"""Todo: the segments that a run is to compute, those to be tried again, and those that it gives up."""

import heapq
import time
from typing import Final, NamedTuple

from fer_deploy.archive.dead_letters import DeadLetter, given_up
from fer_deploy.archive.manifest import Manifest, dead_name
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.shard import WHOLE, Shard
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import (
    Work,
    all_work,
    finished,
    in_shards,
    is_done,
    places_of_files,
    remaining,
    without_finished,
)
from fer_deploy.errors import EngineError

MOST_TRIES: Final = 3
BACK_OFF_S: Final = 2.0
"""Before the second try of a segment; each further one waits four times as long."""
_MOST_DEAD_WITHOUT_ANY: Final = 20
"""Segments that may be given up before the first one is finished, and later videos one after the other, for reasons
that are not theirs: then it is the machine, such as a GPU or a server that is gone."""
_OF_VIDEO: Final = ("read", "decode", "setting")
"""Kinds of failure that say nothing of the machine."""


class Ended(NamedTuple):
    """The end of a run.

    Attributes:
        num_done: segments that this run computed.
        num_dead: that this run gave up.
        num_left: of the whole archive that are neither finished nor given up, as far as this run knows.
    """

    num_done: int
    num_dead: int
    num_left: int


class Todo:
    """Not thread-safe. The caller reports the outcome of each segment."""

    def __init__(
        self, store: Store, manifest: Manifest, progress: RunProgress, *, back_off_s: float = BACK_OFF_S
    ) -> None:
        """Set the archive; `begin` looks at it.

        Args:
            store: the archive.
            manifest: of the archive.
            progress: called with the progress.
            back_off_s: before the second try of a segment.
        """
        self._store, self._manifest, self._progress, self._back_off_s = store, manifest, progress, back_off_s
        self._failures: dict[tuple[str, int], list[Exception]] = {}
        self._later: list[tuple[float, int, Work]] = []
        self._num_done = self._num_dead = self._num_skipped = self._num_todo = 0
        self._videos_in_a_row: set[str] = set()

    def begin(self, *, shard: Shard = WHOLE, only: list[Work] | None = None) -> int:
        """Look which segments are left; return their number.

        Args:
            shard: whose segments come first.
            only: these segments, in place of those of the shard and of the others.

        Raises:
            SinkError: the store cannot be read.
        """
        own, others = (only, list[Work]()) if only is not None else self._works(shard)
        done = finished(self._store, own + others)
        gone = done | given_up(self._store, [work for work in own + others if work.place not in done])
        total = sum(work.segment.num_frames for work in own + others)
        num_before = sum(work.segment.num_frames for work in own + others if work.place in done)
        self._progress.begin(num_before, total)
        todo = [*remaining(own, gone), *remaining(others, gone)]
        self._num_todo = len(todo)
        self._queue = without_finished(todo, self._store, places_of_files(self._store) - done)
        return len(todo)

    def _works(self, shard: Shard) -> tuple[list[Work], list[Work]]:
        return in_shards(all_work(self._manifest, plans(self._manifest, self._store)), shard)

    @property
    def has_later(self) -> bool:
        """Whether segments wait for their next try."""
        return bool(self._later)

    def next(self) -> Work | None:
        """Return the next segment; None if there is none at the moment."""
        if self._later and self._later[0][0] <= time.monotonic():
            return heapq.heappop(self._later)[2]
        return next(self._queue, None)

    def done(self, num_frames: int) -> None:
        """A segment with so many frames is finished and kept."""
        self._num_done += 1
        self._videos_in_a_row.clear()
        self._progress.done(num_frames)

    def skip(self, work: Work) -> None:
        """Another run has finished a segment, or given it up."""
        self._num_skipped += 1
        self._progress.skip(work.segment.num_frames)

    def fail(self, work: Work, err: Exception, *, host: str | None = None) -> None:
        """Try a segment later, or give it up.

        Args:
            work: the segment.
            err: why it failed.
            host: name of the machine where it failed; None: this one.

        Raises:
            EngineError: no segment can be computed here.
            SinkError: the store cannot be written.
        """
        failures = self._failures.setdefault(work.place, [])
        failures.append(err)
        if len(failures) < MOST_TRIES:
            wait_s = self._back_off_s * 4 ** (len(failures) - 1)
            heapq.heappush(self._later, (time.monotonic() + wait_s, id(work), work))
            return
        letter = DeadLetter.of(work.row, work.segment, failures, host=host)
        letter.write(work.row, self._store)
        self._num_dead += 1
        self._progress.note(
            f"{work.row.shown}, segment {letter.segment}: given up ({letter.kind}): {letter.attempts[-1]}"
        )
        if letter.kind not in _OF_VIDEO:
            self._videos_in_a_row.add(work.row.id)
        self._require_a_machine_that_works(err)

    def _require_a_machine_that_works(self, err: Exception) -> None:
        most, what = _MOST_DEAD_WITHOUT_ANY, ""
        if self._num_done == 0 and self._num_dead >= most:
            what = f"the first {self._num_dead} segments have all failed"
        elif len(self._videos_in_a_row) >= most:
            what = f"segments of the last {most} videos have all failed"
        if what:
            raise EngineError(
                f"{what}, the last one with: {err}. Fix: correct the cause, then fer-deploy archive retry "
                f"{self._store.argument}, and run again"
            )

    def ended(self) -> Ended:
        """Return the counts so far."""
        num_left = self._num_todo - self._num_done - self._num_dead - self._num_skipped
        return Ended(self._num_done, self._num_dead, max(0, num_left))


def is_wanted(store: Store, work: Work) -> bool:
    """Return whether no run has finished a segment meanwhile, or given it up."""
    return not (is_done(store, work) or store.exists(dead_name(work.row, work.segment.number)))
