"""Supply: which nodes of the cluster can hold workers, and what is said if there are none."""

from typing import Any, Final

import ray

from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.archive.progress import RunProgress
from fer_deploy.errors import EngineError

_PATIENCE_S: Final = 15.0
"""Before the user hears that no worker has started yet."""


class Supply:
    """Used by one thread."""

    def __init__(self, demand: Demand, progress: RunProgress) -> None:
        """Set what a worker needs."""
        self._demand, self._progress = demand, progress
        self._left_out: dict[str, str] = {}
        self._since_s: float | None = None
        self._has_told = False

    def num_free(self) -> int:
        """Return how many workers fit into what is free, at most: it may be in pieces."""
        free, demand = ray.available_resources(), self._demand
        parts = [free.get("CPU", 0.0) / demand.num_cpus, free.get("memory", 0.0) / demand.memory_bytes]
        if demand.num_gpus:
            parts.append(free.get("GPU", 0.0) / demand.num_gpus)
        return int(min(parts))

    def leave_out(self, node: str, why: str) -> None:
        """Use a node no more."""
        if node not in self._left_out:
            self._left_out[node] = why
            self._progress.note(f"a node is left out: {why}")

    def options(self) -> dict[str, Any]:
        """Return options of a new actor that keep it from the nodes that are left out."""
        if not self._left_out:
            return {}
        return {"label_selector": {"ray.io/node-id": f"!in({','.join(self._left_out)})"}}

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
        if self.num_free():
            return "Ray is starting it. Fix: if that lasts, see the logs in /tmp/ray/session_latest/logs of the nodes"
        words = f"a node has {self._demand} for it, but not free"
        if self._left_out:
            words = f"nodes that can be used are full ({len(self._left_out)} left out)"
        return f"{words}. Fix: end other work on the cluster, or add nodes"
