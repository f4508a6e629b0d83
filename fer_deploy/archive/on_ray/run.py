"""RayRun: compute the segments of an archive with the workers of a Ray cluster."""

from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ray.exceptions import RayError

from fer_deploy.analyze.jobs.crew import WorkerDied
from fer_deploy.analyze.jobs.messages import Failed, Recipe
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.archive.on_ray.member import Event, Member
from fer_deploy.archive.on_ray.node_worker import Finished, Job, Skipped, Unfit
from fer_deploy.archive.on_ray.pool import Pool
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.shard import WHOLE, Shard, place_of
from fer_deploy.archive.store import Store
from fer_deploy.archive.todo import BACK_OFF_S, Ended, Todo
from fer_deploy.archive.work import Work
from fer_deploy.errors import EngineError

_WAIT_S: Final = 0.2
_MOST_LOST_NODES: Final = 3
"""Of a segment, before a further one counts as a failed try: it may be the segment that ends them."""


class RayRun:
    """The scheduling part, in a process that is connected to the cluster. Used by one thread; `stop` by any."""

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        recipe: Recipe,
        progress: RunProgress,
        *,
        demand: Demand,
        shard: Shard = WHOLE,
        scratch: Path | None = None,
        back_off_s: float = BACK_OFF_S,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Create a run.

        Args:
            store: the archive.
            manifest: of the archive.
            recipe: opens the models in each worker.
            progress: called with the progress.
            demand: what is asked of the cluster.
            shard: whose segments come first.
            scratch: folder of each node for copies; None: the system's.
            back_off_s: before the second try of a segment.
            variables: of the environment that workers set; of `connected`.
        """
        self._variables = dict(variables)
        self._store, self._manifest, self._recipe, self._progress = store, manifest, recipe, progress
        self._demand, self._shard, self._scratch = demand, shard, scratch
        self._todo = Todo(store, manifest, progress, back_off_s=back_off_s)
        self._stop_requested = False
        self._ahead: Work | None = None
        self._orphans: deque[deque[Work]] = deque()
        self._num_lost: Counter[tuple[str, int]] = Counter()

    def stop(self) -> None:
        """End the run; what is finished is kept. Takes no lock: safe in signal handlers."""
        self._stop_requested = True

    def run(self, *, only: list[Work] | None = None) -> Ended:
        """Compute what is missing.

        Args:
            only: these segments, in place of those of the shard and of the others.

        Raises:
            FerDeployError: the store cannot be used, no segment can be computed, or the cluster is lost.
        """
        self._todo.begin(shard=self._shard, only=only)
        try:
            job = Job.of(
                self._store, self._manifest, self._recipe, scratch=self._scratch, num_threads=self._demand.num_cpus
            )
            with Pool(job, self._demand, self._progress, self._variables) as pool:
                self._loop(pool)
        except (RayError, ConnectionError) as err:
            raise EngineError(
                f"the cluster is lost: {type(err).__name__}: {err}. Finished segments are kept. Fix: start the "
                "cluster, then give the same command again"
            ) from err
        return self._todo.ended()

    def _loop(self, pool: Pool) -> None:
        while not self._stop_requested:
            idle = pool.idle()
            for member in idle:
                work = self._next(member, pool)
                if work is None:
                    break
                pool.give(member, work)
            if not (pool.num_busy or self._has_more()):
                return
            pool.grow(max(1, self._todo.ended().num_left))
            for event in pool.events(_WAIT_S):
                self._use(event)

    def _has_more(self) -> bool:
        """Return whether there is a segment that no worker has yet."""
        if self._ahead is None:
            self._ahead = self._todo.next()
        return self._ahead is not None or bool(self._orphans) or self._todo.has_later

    def _next(self, member: Member, pool: Pool) -> Work | None:
        """Return the next segment for a worker; those of a remote video's half hour stay together."""
        if not member.own and self._orphans:
            member.own = self._orphans.popleft()
        if member.own:
            return member.own.popleft()
        work = self._take()
        if work is None:
            return self._stolen(pool)
        if "://" in work.row.address:
            while (other := self._take()) is not None and _group(other) == _group(work):
                member.own.append(other)
            self._ahead = other
        return work

    def _take(self) -> Work | None:
        work, self._ahead = self._ahead, None
        work = self._todo.next() if work is None else work
        return None if work is None else _portable(work)

    def _stolen(self, pool: Pool) -> Work | None:
        """Return the last segment of the worker with the most."""
        rich = pool.others()
        return rich[0].own.pop() if rich else None

    def _use(self, event: Event) -> None:
        member, work, reply = event
        if member.own and member.state != "idle":  # it was lost
            self._orphans.append(member.own)
            member.own = deque()
        if isinstance(reply, Finished):
            self._todo.done(reply.num_frames)
        elif isinstance(reply, Skipped):
            self._todo.skip(work)
        elif isinstance(reply, Failed):
            self._todo.fail(work, reply.error, host=member.host)
        elif isinstance(reply, Unfit) or not self._is_to_blame(work):
            self._orphans.append(deque([work]))
        else:
            lost = WorkerDied(f"the {_MOST_LOST_NODES} last nodes of this segment were lost", "its node was lost")
            self._todo.fail(work, lost, host=member.host)

    def _is_to_blame(self, work: Work) -> bool:
        """Note that the node of a segment was lost; return whether that was so often that the segment may do it."""
        self._num_lost[work.place] += 1
        return self._num_lost[work.place] > _MOST_LOST_NODES


def _group(work: Work) -> int:
    return place_of(*work.place, is_remote=True)


def _portable(work: Work) -> Work:
    """Return a segment without the others of its video, which would travel with it."""
    return work._replace(row=work.row.model_copy(update={"segments": ()}))
