"""Pool: workers on the nodes of a cluster. It grows with what the cluster offers, and replaces lost workers."""

import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import ray
from ray.exceptions import GetTimeoutError, RayError

from fer_deploy import __version__
from fer_deploy.analyze.jobs.messages import Failed
from fer_deploy.archive.dead_letters import WorkerHung
from fer_deploy.archive.on_ray import shell
from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.archive.on_ray.losses import died
from fer_deploy.archive.on_ray.member import Event, Member
from fer_deploy.archive.on_ray.node_worker import Finished, Job, Unfit
from fer_deploy.archive.on_ray.supply import Supply
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.work import Work
from fer_deploy.errors import EngineError

_WATCH: Final = "watch"
_BEAT_S: Final = 1.0
"""Between two questions to a worker how far it is, for up to a hundred workers; more are asked more seldom."""
_LOOK_S: Final = 1.0
"""Between two looks at what the cluster has free."""
_IDLE_S: Final = 30.0
_LONGEST_STEP_S: Final = 5.0
_LEAVE_S: Final = 3.0
_MOST_FAILED_STARTS: Final = 5
_GONE: Final = (RayError, ConnectionError, RuntimeError, ValueError)
"""What Ray raises if a worker or the cluster is not there any more."""


class Pool:
    """Used by one thread. As a context manager it ends all workers."""

    def __init__(self, job: Job, demand: Demand, progress: RunProgress, variables: Mapping[str, str]) -> None:
        """Set what is asked for; nothing is started yet. Workers set the variables, and a few of their own."""
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        no_gpu = {} if demand.num_gpus else {"CUDA_VISIBLE_DEVICES": ""}
        self._variables = dict.fromkeys(names, "1") | no_gpu | dict(variables)
        self._job, self._demand, self._progress = pickle.dumps(job), demand, progress
        self._members: list[Member] = []
        self._supply = Supply(demand, progress)
        self._num_asked = self._num_failed_starts = 0
        self._clock_s, self._step_s = 0.0, time.monotonic()
        self._looked_s = self._beaten_s = float("-inf")
        self._shown = (0, 0)

    def __enter__(self) -> "Pool":
        ray.cloudpickle.register_pickle_by_value(shell)
        options: dict[str, Any] = {
            "num_cpus": self._demand.num_cpus,
            "memory": self._demand.memory_bytes,
            "num_gpus": self._demand.num_gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        self._class = ray.remote(concurrency_groups={_WATCH: 1}, **options)(shell.Shell)
        self._job_ref = ray.put(self._job)
        return self

    def __exit__(self, *_: object) -> None:
        ray.cloudpickle.unregister_pickle_by_value(shell)
        opened = [one for one in self._members if one.state in ("idle", "busy")]
        with suppress(*_GONE):
            leaving = [one.actor.leave.options(concurrency_group=_WATCH).remote() for one in opened]
            if leaving:
                ray.wait(leaving, num_returns=len(leaving), timeout=_LEAVE_S)
        for one in self._members:
            _kill(one)
        self._members.clear()

    def idle(self) -> list[Member]:
        """Return the workers that wait for a segment."""
        return [one for one in self._members if one.state == "idle"]

    def others(self) -> list[Member]:
        """Return the workers that have segments of their own, the one with the most first."""
        return sorted((one for one in self._members if one.own), key=lambda one: -len(one.own))

    @property
    def num_busy(self) -> int:
        """Workers with a segment."""
        return sum(one.state == "busy" for one in self._members)

    def grow(self, num_useful: int) -> None:
        """Ask for workers, or end some, so that there are as many as the cluster offers and the work needs.

        Raises:
            EngineError: no worker has started for too long, or no node can be used.
        """
        self._tick()
        most = min(num_useful, self._demand.max_workers or num_useful)
        self._shrink(most)
        if self._clock_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = self._clock_s
        if self._supply.has_rested(self._clock_s):
            self._shrink_asked(0)  # those are kept from the nodes that may be used again
        num_pending = sum(one.state == "asked" for one in self._members)
        num_here = len(self._members) - num_pending
        wanted = max(
            1, self._demand.min_workers - num_here, self._supply.num_free() if len(self._members) < most else 0
        )
        for _ in range(min(wanted - num_pending, most - len(self._members))):
            self._ask()
        self._supply.check(num_here, self._clock_s)

    def _ask(self) -> None:
        self._num_asked += 1
        actor = self._class.options(**self._supply.options()).remote(self._variables)
        self._members.append(Member(self._num_asked, actor, actor.hello.remote(), seen_s=self._clock_s))

    def _shrink(self, most: int) -> None:
        """End workers that are of no use: asked for, or idle for long."""
        self._shrink_asked(most)
        for one in self.idle():
            if len(self._members) <= max(most, self._demand.min_workers):
                return
            if self._clock_s - one.seen_s > _IDLE_S:
                with suppress(RayError):
                    ray.get(one.actor.leave.remote(), timeout=_LEAVE_S)
                self._drop(one)

    def _shrink_asked(self, most: int) -> None:
        for one in [one for one in reversed(self._members) if one.state == "asked"]:
            if len(self._members) <= most:
                return
            self._drop(one)

    def give(self, member: Member, work: Work) -> None:
        """Give a segment to an idle worker."""
        member.state, member.work, member.seen_s = "busy", work, self._clock_s
        member.reply = member.actor.compute.remote(work)

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Wait for replies, watch the workers, and yield what became of segments.

        Raises:
            EngineError: no worker can be started.
        """
        self._tick()
        self._ask_for_beats()
        awaited = {one.reply: one for one in self._members if one.reply is not None}
        beats = {one.beat: one for one in self._members if one.beat is not None}
        refs = [*awaited, *beats]
        if not refs:
            time.sleep(timeout_s)
            return
        ray.wait(refs, num_returns=1, timeout=timeout_s)
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in ready:
            if ref in beats:
                self._note_beat(beats[ref])
        for ref in ready:
            if ref in awaited and awaited[ref] in self._members:
                yield from self._accept(awaited[ref])
        yield from self._without_progress()
        self._show()

    def _tick(self) -> None:
        """Advance the clock; not by the time in which this process itself stood still."""
        now_s = time.monotonic()
        self._clock_s += min(now_s - self._step_s, _LONGEST_STEP_S)
        self._step_s = now_s

    def _ask_for_beats(self) -> None:
        if self._clock_s - self._beaten_s < max(_BEAT_S, len(self._members) * _BEAT_S / 100):
            return
        self._beaten_s = self._clock_s
        for one in self._members:
            if one.state in ("opening", "busy") and one.beat is None:
                one.beat = one.actor.heartbeat.options(concurrency_group=_WATCH).remote()

    def _note_beat(self, member: Member) -> None:
        ref, member.beat = member.beat, None
        with suppress(RayError):  # its reply says so, too
            signs, num_frames = ray.get(ref)
            if signs != member.signs:
                member.signs, member.seen_s = signs, self._clock_s
            if member.state == "busy":
                self._progress.working(member.number, num_frames)

    def _accept(self, member: Member) -> Iterator[Event]:
        ref, member.reply = member.reply, None
        try:
            reply = ray.get(ref, timeout=_LEAVE_S)
        except (RayError, GetTimeoutError) as err:
            yield from self._lose(member, err)
            return
        if member.state == "asked":
            self._greet(member, reply)
        elif member.state == "opening":
            self._note_opened(member, reply)
        else:
            work, member.work = member.work, None
            assert work is not None
            self._progress.working(member.number, 0)
            if isinstance(reply, Unfit):
                self._leave_out(member, reply)
            else:
                member.state, member.seen_s = "idle", self._clock_s
                if isinstance(reply, Finished):
                    self._supply.forgive(member.node)
            yield Event(member, work, reply)

    def _greet(self, member: Member, hello: dict[str, str]) -> None:
        member.node, member.host, there = hello["node"], hello["host"], hello["version"]
        if there != __version__:
            found = f"fer-deploy {there}" if there else "no fer-deploy"
            why = (
                f"on {member.host}: there is {found}, and {__version__} here. Fix: pip install "
                f"'fer-toolchain[cpu,ray]=={__version__}' there"
            )
            self._leave_out(member, Unfit(why))
            return
        member.state, member.seen_s = "opening", self._clock_s
        member.reply = member.actor.open.remote(self._job_ref)

    def _note_opened(self, member: Member, reply: tuple[str, bool]) -> None:
        why, passes = reply
        if why:
            self._leave_out(member, Unfit(why, passes or self._supply.has_worked(member.node)))
            return
        member.state, member.seen_s, self._num_failed_starts = "idle", self._clock_s, 0
        self._supply.note_opened(member.node)

    def _leave_out(self, member: Member, unfit: Unfit) -> None:
        if unfit.passes:
            self._supply.rest(member.node, unfit.why, self._clock_s)
        else:
            self._supply.leave_out(member.node, unfit.why)
        self._drop(member)

    def _lose(self, member: Member, err: Exception) -> Iterator[Event]:
        work, was = member.work, member.state
        self._drop(member)
        has_node = any(one["Alive"] for one in ray.nodes() if one["NodeID"] == member.node)
        if work is not None:
            self._progress.working(member.number, 0)
            yield Event(member, work, Failed(died(err, member.host)) if has_node else None)
        elif was != "idle":
            self._note_failed_start(err)

    def _note_failed_start(self, err: Exception) -> None:
        self._num_failed_starts += 1
        self._looked_s = self._clock_s + 2 * _LOOK_S * self._num_failed_starts  # ask later
        if self._num_failed_starts >= _MOST_FAILED_STARTS and not any(one.node for one in self._members):
            raise EngineError(
                f"workers cannot start: {died(err, 'a node')}. Fix: the log of the worker on that node, in "
                "/tmp/ray/session_latest/logs"
            ) from err

    def _without_progress(self) -> Iterator[Event]:
        for one in [one for one in self._members if one.state in ("opening", "busy")]:
            silent_s = self._clock_s - one.seen_s
            if silent_s > (self._demand.hang_s if one.state == "busy" else self._demand.start_s):
                hung = WorkerHung(
                    f"a worker on {one.host} made no progress for {silent_s:.0f} s and was ended. Fix: a larger "
                    "--hang-after if the machine is only slow"
                )
                self._progress.note(str(hung))
                work = one.work
                self._drop(one)
                if work is None:
                    self._note_failed_start(hung)
                else:
                    self._progress.working(one.number, 0)
                    yield Event(one, work, Failed(hung))

    def _drop(self, member: Member) -> None:
        self._members.remove(member)
        _kill(member)

    def _show(self) -> None:
        here = [one for one in self._members if one.state in ("idle", "busy")]
        now = len(here), len({one.node for one in here})
        if now != self._shown:
            self._shown = now
            self._progress.workers(*now)


def _kill(member: Member) -> None:
    with suppress(*_GONE):
        ray.kill(member.actor, no_restart=True)
