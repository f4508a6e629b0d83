"""Scenarios with MLPerf's names: single stream, offline and server. Not MLPerf: shorter, and without its rules.

Single stream is a `windows.Repeated` at batch 1: the next query starts when the last one is done.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fer_deploy.bench.statistics import percentile
from fer_deploy.bench.windows import Call, Clock, Measurement, SystemClock, WindowPlan, Workload, measure
from fer_deploy.errors import EngineError

LEAST_GAIN: Final = 0.05
"""A batch is doubled until this much throughput is no longer gained. Source: NVIDIA's Model Navigator."""
_P99: Final = 99.0


@dataclass(frozen=True)
class Offline:
    """Throughput by batch.

    Attributes:
        by_batch: a measurement for each batch size that was tried.
        batch: the size with the highest throughput.
        failure: why no larger batch was tried, where the engine refused one.
    """

    by_batch: dict[int, Measurement]
    batch: int
    failure: str | None = None

    @property
    def best(self) -> Measurement:
        """The measurement of the best batch."""
        return self.by_batch[self.batch]


def offline(
    workload_of: Callable[[int], Workload],
    plan: WindowPlan | None = None,
    *,
    first: int = 1,
    most: int = 256,
    longest_ms: float = 1000.0,
    step: int = 2,
    patience: int = 2,
    clock: Clock | None = None,
) -> Offline:
    """Enlarge the batch until throughput gains less than 5 % over the best batch so far, twice in a row.

    One size without a gain does not end it: some runtimes are slow at one size and fast at the next.

    Args:
        workload_of: makes the workload of a batch size; its items are images.
        plan: how long to measure each size.
        first: smallest batch.
        most: largest batch.
        longest_ms: no batch is tried whose call would take longer, judged by the one before it.
        step: each batch is so many times as large as the one before.
        patience: batches in a row without a gain after which the search ends.
        clock: of this machine by default.

    Raises:
        EngineError: the engine refused the first batch.
    """
    by_batch: dict[int, Measurement] = {}
    best, batch, num_flat, failure = first, first, 0, None
    while batch <= most and num_flat < patience:
        try:
            by_batch[batch] = measure(workload_of(batch), plan, clock=clock)
        except EngineError as err:
            if not by_batch:
                raise
            failure = str(err)
            break
        is_gain = batch == first or by_batch[batch].per_s >= (1 + LEAST_GAIN) * by_batch[best].per_s
        num_flat = 0 if is_gain else num_flat + 1
        best = batch if is_gain else best
        if step * by_batch[batch].latency_ms(50) > longest_ms:
            break
        batch *= step
    return Offline(by_batch, best, failure)


@dataclass(frozen=True)
class Load:
    """A run of the server scenario at one rate.

    Attributes:
        rate: arrivals per second, on average.
        latencies_ms: from the scheduled arrival to the result, so that waiting counts.
        num_planned: arrivals of the whole run; fewer latencies mean that it was given up.
    """

    rate: float
    latencies_ms: tuple[float, ...]
    num_planned: int

    def holds(self, limit_ms: float) -> bool:
        """Return whether all arrivals were served and p99 is within the limit."""
        return len(self.latencies_ms) == self.num_planned and percentile(self.latencies_ms, _P99) <= limit_ms


def arrivals_at(rate: float, seconds: float, *, seed: int = 0) -> tuple[float, ...]:
    """Return the times, in seconds from 0, of a Poisson process; at least one."""
    number = max(1, round(rate * seconds))
    return tuple(np.cumsum(np.random.default_rng(seed).exponential(1 / rate, number)).tolist())


def serve(
    calls: Sequence[Call], rate: float, arrivals: Sequence[float], *, give_up_ms: float, clock: Clock | None = None
) -> Load:
    """Run an open loop: queries arrive at fixed times, whether or not the engine is ready.

    Args:
        calls: a server thread for each; one runs on the calling thread.
        rate: of the arrivals, for the result.
        arrivals: seconds from the start, rising.
        give_up_ms: ends the run when more than 1 % of all arrivals took longer, so that p99 cannot hold any more.
        clock: of this machine by default.

    An error, or a signal, is raised after all threads have ended.
    """
    clock = clock or SystemClock()
    run = _Run(arrivals, clock, give_up_ms)
    helpers = [threading.Thread(target=run.serve, args=(call,), daemon=True) for call in calls[1:]]
    started: list[threading.Thread] = []
    try:
        for helper in helpers:
            helper.start()
            started.append(helper)
        run.serve(calls[0])
    finally:
        run.is_over = True
        for helper in started:
            helper.join()
    if run.failures:
        raise run.failures[0]
    return Load(rate, tuple(run.latencies_ms), len(arrivals))


@dataclass
class _Run:
    """Arrivals that are not served yet, and the latencies of those that are."""

    arrivals: Sequence[float]
    clock: Clock
    give_up_ms: float
    latencies_ms: list[float] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    is_over: bool = False

    def __post_init__(self) -> None:
        self._lock, self._next, self._num_late = threading.Lock(), 0, 0
        self._started = self.clock.now()

    def serve(self, call: Call) -> None:
        """Serve one arrival after the other until none is left, or the run is given up."""
        while (due := self._due()) is not None:
            early = due - self.clock.now()
            if early > 0:
                self.clock.sleep(early)
            try:
                call()
            except Exception as err:  # noqa: BLE001 - raised by `serve`, after all threads have ended
                self.failures.append(err)
                return
            self._note(1e3 * (self.clock.now() - due))

    def _due(self) -> float | None:
        with self._lock:
            is_lost = 100 * self._num_late > len(self.arrivals)
            if self._next == len(self.arrivals) or is_lost or self.failures or self.is_over:
                return None
            self._next += 1
            return self._started + self.arrivals[self._next - 1]

    def _note(self, latency_ms: float) -> None:
        with self._lock:
            self.latencies_ms.append(latency_ms)
            self._num_late += latency_ms > self.give_up_ms


@dataclass(frozen=True)
class Server:
    """The highest rate whose p99 holds the limit, 0 if none does; and every run of the search."""

    rate: float
    limit_ms: float
    loads: tuple[Load, ...]


def highest_rate(
    calls: Sequence[Call],
    *,
    limit_ms: float,
    ceiling: float,
    seconds: float = 3.0,
    num_steps: int = 6,
    clock: Clock | None = None,
) -> Server:
    """Search the highest Poisson rate whose p99 latency holds a limit, by bisection.

    Args:
        calls: a server thread for each.
        limit_ms: of p99, from the scheduled arrival.
        ceiling: a rate, in queries per second, that is certainly not exceeded: the closed loop's throughput.
        seconds: length of each run.
        num_steps: halvings; after six the answer is exact to 1.6 % of the ceiling.
        clock: of this machine by default.
    """
    loads: list[Load] = []
    low, high = 0.0, ceiling
    for step in range(num_steps):
        rate = (low + high) / 2
        arrivals = arrivals_at(rate, seconds, seed=step)
        loads.append(serve(calls, rate, arrivals, give_up_ms=limit_ms, clock=clock))
        if loads[-1].holds(limit_ms):
            low = rate
        else:
            high = rate
    return Server(low, limit_ms, tuple(loads))
