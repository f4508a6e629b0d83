"""Supply: which nodes of the cluster can hold workers, and what is said if there are none."""

from collections import Counter
from typing import Any, Final

import ray

from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.archive.progress import RunProgress
from fer_deploy.errors import EngineError

_PATIENCE_S: Final = 15.0
"""Before the user hears that no worker has started yet."""
_REST_S: Final = 10.0
"""Of a node, the first time; each further one is twice as long."""
_MOST_RESTS: Final = 5
"""Without a finished segment between them, five minutes in all. Then the node is left out."""


class Supply:
    """Used by one thread."""

    def __init__(self, demand: Demand, progress: RunProgress) -> None:
        """Set what a worker needs."""
        self._demand, self._progress = demand, progress
        self._left_out: dict[str, str] = {}
        self._resting: dict[str, float] = {}
        self._num_rests: Counter[str] = Counter()
        self._worked: set[str] = set()
        self._since_s: float | None = None
        self._has_told = False

    def num_free(self) -> int:
        """Return how many workers fit into what is free, at most: it may be in pieces."""
        free, demand = ray.available_resources(), self._demand
        parts = [free.get("CPU", 0.0) / demand.num_cpus, free.get("memory", 0.0) / demand.memory_bytes]
        if demand.num_gpus:
            parts.append(free.get("GPU", 0.0) / demand.num_gpus)
        return int(min(parts))

    def note_opened(self, node: str) -> None:
        """A worker was opened on a node: it saw the models, the output and the videos."""
        self._worked.add(node)

    def has_worked(self, node: str) -> bool:
        """Return whether a worker was opened on a node: what a later one misses there may come back."""
        return node in self._worked

    def leave_out(self, node: str, why: str) -> None:
        """Use a node no more."""
        self._resting.pop(node, None)
        if node not in self._left_out:
            self._left_out[node] = why
            self._progress.note(f"a node is left out: {why}")

    def rest(self, node: str, why: str, now_s: float) -> None:
        """Do not use a node for a while; leave it out if that has not helped several times.

        Args:
            node: its id.
            why: as text with the mend.
            now_s: of the clock of `has_rested`.
        """
        if node in self._left_out or node in self._resting:  # another worker of it has said so
            return
        self._num_rests[node] += 1
        if self._num_rests[node] > _MOST_RESTS:
            self.leave_out(node, why)
            return
        rest_s = _REST_S * 2 ** (self._num_rests[node] - 1)
        self._resting[node] = now_s + rest_s
        self._progress.note(f"a node is not used for {rest_s:.0f} s: {why}")

    def has_rested(self, now_s: float) -> bool:
        """Use nodes again whose rest is over; return whether there are any."""
        rested = [node for node, end_s in self._resting.items() if now_s >= end_s]
        for node in rested:
            del self._resting[node]
        return bool(rested)

    def forgive(self, node: str) -> None:
        """A segment was finished on a node: its next rest is a short one again."""
        self._num_rests.pop(node, None)

    def options(self) -> dict[str, Any]:
        """Return options of a new actor that keep it from the nodes that are left out or rest."""
        without = [*self._left_out, *self._resting]
        return {"label_selector": {"ray.io/node-id": f"!in({','.join(without)})"}} if without else {}

    def check(self, num_here: int, now_s: float) -> None:
        """Say that the cluster has no room; give up if that lasts.

        Args:
            num_here: workers that Ray has placed on a node.
            now_s: of any clock.

        Raises:
            EngineError: no worker has started for `start_s`, or all nodes are left out.
        """
        if num_here:
            self._since_s, self._has_told = None, False
            return
        if self._left_out and set(self._left_out) >= {one["NodeID"] for one in ray.nodes() if self._can_hold(one)}:
            raise EngineError(f"no node can be used. The last one, {next(reversed(self._left_out.values()))}")
        self._since_s = now_s if self._since_s is None else self._since_s
        waited_s = now_s - self._since_s
        if waited_s > self._demand.start_s:
            raise EngineError(f"no worker has started for {waited_s:.0f} s: {self._why_none()}")
        if waited_s > _PATIENCE_S and not self._has_told:
            self._progress.note(f"waiting for a worker: {self._why_none()}")
            self._has_told = True

    def _can_hold(self, node: dict[str, Any]) -> bool:
        has, demand = node["Resources"], self._demand
        return bool(
            node["Alive"]
            and has.get("CPU", 0) >= demand.num_cpus
            and has.get("memory", 0) >= demand.memory_bytes
            and has.get("GPU", 0) >= demand.num_gpus
        )

    def _why_none(self) -> str:
        nodes = [one for one in ray.nodes() if one["Alive"]]
        if not any(map(self._can_hold, nodes)):
            fix = "--threads-per-worker, --memory-per-worker or --gpus-per-worker, or other nodes"
            num = f"{len(nodes)} node" + ("s" if len(nodes) != 1 else "")
            return f"none of {num} of the cluster has {self._demand}, which a worker needs. Fix: {fix}"
        if self._resting:
            return f"{len(self._resting)} of the nodes are not used for a while. Fix: see the reasons above"
        if self.num_free():
            return "Ray is starting it. Fix: if that lasts, see the logs in /tmp/ray/session_latest/logs of the nodes"
        words = f"no node has {self._demand} free: other work is there, or Ray is still starting workers of this run"
        if self._left_out:
            words = f"nodes that can be used are full ({len(self._left_out)} left out)"
        return f"{words}. Fix: wait, end other work on the cluster, or add nodes"
