"""ArchiveRun: compute the segments of a shard with worker processes, and help with those of the others."""

import heapq
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.analyze.jobs.crew import Crew, Event
from fer_deploy.analyze.jobs.messages import Failed, Observe, Observed, Progress, Recipe
from fer_deploy.archive.dead_letters import DeadLetter, dead_places
from fer_deploy.archive.manifest import TO_THE_END, Manifest, dead_name
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.scratch import scratch_folder
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.shard import WHOLE, Shard
from fer_deploy.archive.staging import Staged, Staging
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
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, FerDeployError, MissingDependencyError

MOST_TRIES: Final = 3
BACK_OFF_S: Final = 2.0
"""Before the second try of a segment; each further one waits four times as long."""
_HOPELESS: Final = (ConfigError, MissingDependencyError, ArtifactError)
"""Failures of a worker that are not the segment's fault."""
_MOST_DEAD_WITHOUT_ANY: Final = 20
_WAIT_S: Final = 0.1
_NUM_THREADS: Final = 8


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


class ArchiveRun:
    """One process with its workers. Used by one thread; `stop` by any."""

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        recipe: Recipe,
        progress: RunProgress,
        *,
        shard: Shard = WHOLE,
        num_jobs: int = 1,
        scratch: Path | None = None,
        back_off_s: float = BACK_OFF_S,
    ) -> None:
        """Create a run.

        Args:
            store: the archive.
            manifest: of the archive.
            recipe: opens the models in each worker.
            progress: called with the progress.
            shard: whose segments come first.
            num_jobs: worker processes.
            scratch: folder for copies; None: the system's.
            back_off_s: before the second try of a segment.
        """
        self._store, self._manifest, self._recipe, self._progress = store, manifest, recipe, progress
        self._shard, self._num_jobs, self._scratch, self._back_off_s = shard, num_jobs, scratch, back_off_s
        self._stop_requested = False
        self._failures: dict[tuple[str, int], list[Exception]] = {}
        self._later: list[tuple[float, int, Work]] = []
        self._ahead: deque[tuple[Work, Future[Staged | None]]] = deque()
        self._sending: dict[Future[None], int] = {}
        self._busy: dict[int, tuple[Work, Staged]] = {}
        self._num_given = self._num_done = self._num_dead = self._num_skipped = 0

    def stop(self) -> None:
        """End the run; what is finished is kept. Takes no lock: safe in signal handlers."""
        self._stop_requested = True

    def run(self, *, only: list[Work] | None = None) -> Ended:
        """Compute what is missing.

        Args:
            only: these segments, in place of those of the shard and of the others.

        Raises:
            FerDeployError: the store cannot be used, or no segment can be computed here.
        """
        own, others = (only, list[Work]()) if only is not None else self._works()
        done = finished(self._store, own + others)
        gone = done | dead_places(self._store)
        total = sum(work.segment.num_frames for work in own + others)
        num_before = sum(work.segment.num_frames for work in own + others if work.place in done)
        self._progress.begin(num_before, total)
        todo = [*remaining(own, gone), *remaining(others, gone)]
        self._queue = without_finished(todo, self._store, places_of_files(self._store) - done)
        with scratch_folder(self._scratch) as folder:
            self._loop(folder)
        num_left = len(own) + len(others) - len(gone) - self._num_done - self._num_dead - self._num_skipped
        return Ended(self._num_done, self._num_dead, max(0, num_left))

    def _works(self) -> tuple[list[Work], list[Work]]:
        works = all_work(self._manifest, plans(self._manifest, self._store))
        return in_shards(works, self._shard)

    def _loop(self, folder: Path) -> None:
        self._folder = folder
        self._staging = Staging(self._store, folder, most=self._num_jobs + 2)
        with (
            ThreadPoolExecutor(_NUM_THREADS) as self._threads,
            Crew[Work](self._num_jobs, self._recipe, most_deaths=1) as crew,
        ):
            try:
                while not self._stop_requested and self._has_work():
                    self._look_ahead()
                    self._give(crew)
                    for event in crew.events(_WAIT_S):
                        self._use(event)
                    self._note_sent()
                    if not self._busy and not self._stop_requested:
                        time.sleep(_WAIT_S / 10)  # `events` has nothing to wait for
            finally:
                for _, future in self._ahead:
                    future.cancel()
                self._note_sent(wait=True)

    def _has_work(self) -> bool:
        if not (self._busy or self._ahead or self._later or self._sending):
            self._look_ahead()
        return bool(self._busy or self._ahead or self._later or self._sending)

    def _look_ahead(self) -> None:
        """Bring the videos of the next segments to this machine."""
        while len(self._ahead) < self._num_jobs + 1:
            work = self._next()
            if work is None:
                return
            self._ahead.append((work, self._threads.submit(self._prepared, work)))

    def _next(self) -> Work | None:
        if self._later and self._later[0][0] <= time.monotonic():
            return heapq.heappop(self._later)[2]
        return next(self._queue, None)

    def _prepared(self, work: Work) -> Staged | None:
        """Return the video of a segment; None if another run has finished it meanwhile."""
        if is_done(self._store, work) or self._store.exists(dead_name(work.row, work.segment.number)):
            return None
        return self._staging.use(work.row)

    def _give(self, crew: Crew[Work]) -> None:
        idle = deque(crew.idle())
        for work, future in [pair for pair in self._ahead if pair[1].done()]:
            if not idle:
                return
            self._ahead.remove((work, future))
            try:
                staged = future.result()
            except FerDeployError as err:
                self._fail(work, err)
                continue
            if staged is None:
                self._num_skipped += 1
                self._progress.skip(work.segment.num_frames)
                continue
            worker = idle.popleft()
            self._busy[worker] = work, staged
            crew.give(worker, work, self._task(work, staged))

    def _task(self, work: Work, staged: Staged) -> Observe:
        self._num_given += 1
        config, row, segment = self._manifest.about.config, work.row, work.segment
        return Observe(
            video=staged.video,
            index=staged.packets,
            number=segment.number,
            start=segment.position,
            num_frames=TO_THE_END if work.is_last else config.frames_per_segment,
            first_size=row.size_of_picture,
            config=config.pipeline,
            fingerprint=self._manifest.fingerprint(row),
            path=self._folder / f"{self._num_given}.parquet",
            decodes=True,
            key=work.key,
        )

    def _use(self, event: Event[Work]) -> None:
        message = event.message
        if isinstance(message, Progress):
            self._progress.working(event.worker, message.num_frames)
            return
        work, _ = self._busy.pop(event.worker)
        self._staging.leave(work.row)
        self._progress.working(event.worker, 0)
        assert isinstance(event.task, Observe)
        if isinstance(message, Failed):
            self._fail(work, message.error)
        elif isinstance(message, Observed):
            num_frames = message.end.num_taken - work.segment.first
            self._sending[self._threads.submit(self._send, event.task.path, work)] = num_frames

    def _send(self, path: Path, work: Work) -> None:
        self._store.send(path, work.name)
        path.unlink()

    def _note_sent(self, *, wait: bool = False) -> None:
        for future in [one for one in self._sending if wait or one.done()]:
            num_frames = self._sending.pop(future)
            try:
                future.result()
            except (FerDeployError, OSError):
                if wait:
                    continue  # the run ends, and the next one computes it again
                raise
            self._num_done += 1
            self._progress.done(num_frames)

    def _fail(self, work: Work, err: Exception) -> None:
        """Try a segment later, or give it up."""
        if isinstance(err, _HOPELESS):
            raise err
        failures = self._failures.setdefault(work.place, [])
        failures.append(err)
        if len(failures) < MOST_TRIES:
            wait_s = self._back_off_s * 4 ** (len(failures) - 1)
            heapq.heappush(self._later, (time.monotonic() + wait_s, id(work), work))
            return
        letter = DeadLetter.of(work.row, work.segment, failures)
        letter.write(work.row, self._store)
        self._num_dead += 1
        self._progress.note(
            f"{letter.address}, segment {letter.segment}: given up ({letter.kind}): {letter.attempts[-1]}"
        )
        if self._num_done == 0 and self._num_dead >= _MOST_DEAD_WITHOUT_ANY:
            raise EngineError(
                f"the first {self._num_dead} segments have all failed, the last one with: {err}. Fix: correct the "
                "cause, then fer-deploy archive retry, and run again"
            )
