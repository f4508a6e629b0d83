"""Demand: what a run asks of the cluster."""

from typing import NamedTuple


class Demand(NamedTuple):
    """What is asked of the cluster.

    Attributes:
        num_cpus: of each worker.
        memory_bytes: of each worker.
        num_gpus: of each worker.
        min_workers: asked for at once, however few are free.
        max_workers: at most; None: as many as the cluster offers.
        hang_s: a worker without progress for so long is replaced.
        start_s: the longest wait for the first worker, and for the models of each.
    """

    num_cpus: int = 1
    memory_bytes: int = 10**9
    num_gpus: float = 0.0
    min_workers: int = 1
    max_workers: int | None = None
    hang_s: float = 300.0
    start_s: float = 300.0

    def __str__(self) -> str:
        """Return it as text."""
        gpus = f", {self.num_gpus:g} GPU" if self.num_gpus else ""
        return f"{self.num_cpus} CPU{gpus} and {self.memory_bytes / 1e6:,.0f} MB"
