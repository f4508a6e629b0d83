"""ArchiveRun: compute the segments of a shard with worker processes, and help with those of the others."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from fer_deploy.analyze.jobs.crew import Crew, Event
from fer_deploy.analyze.jobs.messages import Failed, Observe, Observed, Progress, Recipe
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.scratch import ScratchFull, scratch_folder
from fer_deploy.archive.shard import WHOLE, Shard
from fer_deploy.archive.staging import Staged, Staging, failure_of, task_of
from fer_deploy.archive.store import PassingFault, Store
from fer_deploy.archive.todo import BACK_OFF_S, Ended, Todo, is_wanted
from fer_deploy.archive.work import Work
from fer_deploy.errors import FerDeployError

_WAIT_S: Final = 0.1
_NUM_THREADS: Final = 8


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
        self._shard, self._num_jobs, self._scratch = shard, num_jobs, scratch
        self._todo = Todo(store, manifest, progress, back_off_s=back_off_s)
        self._stop_requested = False
        self._ahead: deque[tuple[Work, Future[Staged | None]]] = deque()
        self._sending: dict[Future[None], int] = {}
        self._busy: dict[int, tuple[Work, Staged]] = {}
        self._num_given = 0

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
        self._todo.begin(shard=self._shard, only=only)
        with scratch_folder(self._scratch) as folder:
            self._loop(folder)
        return self._todo.ended()

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
        if not self._is_busy():
            self._look_ahead()
        return self._is_busy()

    def _is_busy(self) -> bool:
        return bool(self._busy or self._ahead or self._todo.has_later or self._sending)

    def _look_ahead(self) -> None:
        """Bring the videos of the next segments to this machine."""
        while len(self._ahead) < self._num_jobs + 1:
            work = self._todo.next()
            if work is None:
                return
            self._ahead.append((work, self._threads.submit(self._prepared, work)))

    def _prepared(self, work: Work) -> Staged | None:
        """Return the video of a segment; None if another run has finished it meanwhile."""
        return self._staging.use(work.row) if is_wanted(self._store, work) else None

    def _give(self, crew: Crew[Work]) -> None:
        idle = deque(crew.idle())
        for work, future in [pair for pair in self._ahead if pair[1].done()]:
            if not idle:
                return
            self._ahead.remove((work, future))
            try:
                staged = future.result()
            except (ScratchFull, PassingFault):
                raise  # no other segment would fare better
            except FerDeployError as err:
                self._todo.fail(work, err)
                continue
            if staged is None:
                self._todo.skip(work)
                continue
            worker = idle.popleft()
            self._busy[worker] = work, staged
            self._num_given += 1
            path = self._folder / f"{self._num_given}.parquet"
            crew.give(worker, work, task_of(work, self._manifest.about, staged, path))

    def _use(self, event: Event[Work]) -> None:
        message = event.message
        if isinstance(message, Progress):
            self._progress.working(event.worker, message.num_frames)
            return
        work, staged = self._busy.pop(event.worker)
        self._staging.leave(work.row)
        self._progress.working(event.worker, 0)
        assert isinstance(event.task, Observe)
        if isinstance(message, Failed):
            if message.is_of_models:
                raise message.error
            self._todo.fail(work, failure_of(message.error, staged, work.row, self._folder))
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
            self._todo.done(num_frames)
