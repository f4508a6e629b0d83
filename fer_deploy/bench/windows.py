"""Measurement in windows: warm up, then measure windows until the last three agree, at most ten.

Several workloads are measured in turn, a window each, so that other work on the machine hits all of them. Every sample
is kept: an outlier is part of the result, and p99 shows it. The rule for stability is that of NVIDIA's perf_analyzer.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal, Protocol

from fer_deploy.bench.statistics import Interval, percentile, ratio_interval

Call = Callable[[], object]
"""One inference: returns when its result is in the host's memory."""


class Clock(Protocol):
    """Time in seconds; tests replace it."""

    def now(self) -> float:
        """Return the wall time."""

    def cpu(self) -> float:
        """Return the CPU time of all threads of this process."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The clock of this machine."""

    now = staticmethod(time.perf_counter)
    cpu = staticmethod(time.process_time)
    sleep = staticmethod(time.sleep)


@dataclass(frozen=True)
class WindowPlan:
    """How long to measure.

    Attributes:
        window_s: length of a window; its last call may exceed it.
        warm_up_s: length of the window before the first one, which is not part of the result.
        fewest: windows that must agree.
        most: windows after which the measurement ends, stable or not.
        tolerance: how much the largest of the last `fewest` windows may exceed the smallest.
        settle_s: pause before each window, in which spinning threads of the previous engine go to sleep.
    """

    window_s: float = 0.4
    warm_up_s: float = 0.2
    fewest: int = 3
    most: int = 10
    tolerance: float = 0.10
    settle_s: float = 0.01


QUICK = WindowPlan(window_s=0.1, warm_up_s=0.05, most=4)


@dataclass(frozen=True)
class Window:
    """The samples of one window.

    Attributes:
        latencies_ms: of each call.
        wall_s: from the first call's start to the last one's end.
        cpu_s: CPU time of this process meanwhile.
        num_items: results of all calls, such as faces.
    """

    latencies_ms: tuple[float, ...]
    wall_s: float
    cpu_s: float
    num_items: int

    @property
    def median_ms(self) -> float:
        """The median latency of a call."""
        return percentile(self.latencies_ms, 50)

    @property
    def per_s(self) -> float:
        """Throughput: items per second of wall time."""
        return self.num_items / self.wall_s


@dataclass(frozen=True)
class Measurement:
    """All windows of a workload, and whether the last ones agreed."""

    windows: tuple[Window, ...]
    is_stable: bool

    @property
    def latencies_ms(self) -> tuple[float, ...]:
        """Every sample of every window."""
        return tuple(chain.from_iterable(window.latencies_ms for window in self.windows))

    def latency_ms(self, percent: float) -> float:
        """Return a percentile of all samples."""
        return percentile(self.latencies_ms, percent)

    @property
    def per_s(self) -> float:
        """Throughput over all windows: items per second of wall time."""
        return self._num_items / sum(window.wall_s for window in self.windows)

    @property
    def cpu_ms_per_item(self) -> float:
        """CPU time of this process for an item. Other work on the machine hardly changes it."""
        return 1e3 * sum(window.cpu_s for window in self.windows) / self._num_items

    @property
    def _num_items(self) -> int:
        return sum(window.num_items for window in self.windows)

    def to_dict(self, *, with_samples: bool = False) -> dict[str, Any]:
        """Return plain values for JSON; with every latency of every window on request."""
        found: dict[str, Any] = {
            "stable": self.is_stable,
            "num_windows": len(self.windows),
            "num_calls": len(self.latencies_ms),
            **{f"p{percent}_ms": round(self.latency_ms(percent), 4) for percent in (50, 90, 99)},
            "max_ms": round(max(self.latencies_ms), 4),
            "per_s": round(self.per_s, 2),
            "cpu_ms_per_item": round(self.cpu_ms_per_item, 4),
        }
        if with_samples:
            found["windows_ms"] = [[round(value, 4) for value in window.latencies_ms] for window in self.windows]
        return found


class Workload(ABC):
    """Something that is done again and again, and timed."""

    num_untimed: int
    """Items of a window's calls that are not timed."""

    @abstractmethod
    def window(self, seconds: float, clock: Clock) -> Window:
        """Run for about `seconds`, at least once, and return the samples."""


class Repeated(Workload):
    """One call after the other on the calling thread."""

    def __init__(self, call: Call, items: int = 1) -> None:
        """Take the call, and the number of results that it gives."""
        self._call, self._items, self.num_untimed = call, items, items

    def window(self, seconds: float, clock: Clock) -> Window:
        """Run the call until the time is over. A first call is not timed: it replaces another engine's caches."""
        self._call()
        return self.timed(seconds, clock)

    def timed(self, seconds: float, clock: Clock, *, stop: threading.Event | None = None) -> Window:
        """Return the samples, without the first call of `window`; `stop` ends it early, after a call."""
        latencies: list[float] = []
        started, cpu_started = clock.now(), clock.cpu()
        ended = started
        while not latencies or (ended - started < seconds and not (stop and stop.is_set())):
            began = clock.now()
            self._call()
            ended = clock.now()
            latencies.append(1e3 * (ended - began))
        return Window(tuple(latencies), ended - started, clock.cpu() - cpu_started, self._items * len(latencies))


class Together(Workload):
    """Several callers at once, a thread each, every one with one call after the other."""

    def __init__(self, calls: Sequence[Call], items: int = 1) -> None:
        """Take a call for each thread, and the number of results of one call."""
        self._calls, self._items, self.num_untimed = tuple(calls), items, items * len(calls)

    def window(self, seconds: float, clock: Clock) -> Window:
        """Run all callers until the time is over; an error of one of them is raised after all have ended.

        A signal is passed on after all have ended, too: a call that runs while the interpreter ends aborts the process.
        """
        found: list[Window] = []
        failures: list[Exception] = []
        ready, stop = threading.Barrier(len(self._calls) + 1), threading.Event()

        def run(call: Call) -> None:
            try:
                call()
            except Exception as err:  # noqa: BLE001 - raised below, on the thread that measures
                failures.append(err)
            try:
                ready.wait()
                found.append(Repeated(call, self._items).timed(seconds, clock, stop=stop))
            except Exception as err:  # noqa: BLE001 - as above
                failures.append(err)

        threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in self._calls]
        started: list[threading.Thread] = []
        try:
            for thread in threads:
                thread.start()
                started.append(thread)
            ready.wait()
            cpu_started = clock.cpu()
            for thread in threads:
                thread.join()
        except BaseException:
            stop.set()
            ready.abort()
            for thread in started:
                thread.join()
            raise
        cpu_s = clock.cpu() - cpu_started
        if failures:
            raise failures[0]
        latencies = tuple(chain.from_iterable(window.latencies_ms for window in found))
        # Each caller has a time of its own, so their rates are added up.
        per_s = sum(window.per_s for window in found)
        num_items = sum(window.num_items for window in found)
        return Window(latencies, num_items / per_s, cpu_s, num_items)


def agree(windows: Sequence[Window], plan: WindowPlan) -> bool:
    """Return whether the last windows differ by no more than the tolerance, in median latency and in throughput."""
    last = windows[-plan.fewest :]
    if len(last) < plan.fewest:
        return False
    found = ([window.median_ms for window in last], [window.per_s for window in last])
    return all(max(values) <= (1 + plan.tolerance) * min(values) for values in found)


def measure_in_turn(
    workloads: Mapping[str, Workload],
    plan: WindowPlan | None = None,
    *,
    clock: Clock | None = None,
    on_round: Callable[[int], None] = lambda _: None,
) -> dict[str, Measurement]:
    """Measure workloads in alternating windows until all are stable, and return a Measurement for each.

    All have the same number of windows, and window i of one was measured beside window i of the other. The order is
    reversed in every second round, so that none always follows the same neighbour.

    Args:
        workloads: by name.
        plan: how long to measure; `WindowPlan()` by default.
        clock: of this machine by default.
        on_round: called with the number of rounds done.

    Raises:
        Exception: whatever a workload raises.
    """
    plan, clock = plan or WindowPlan(), clock or SystemClock()
    windows: dict[str, list[Window]] = {name: [] for name in workloads}
    for name in workloads:
        clock.sleep(plan.settle_s)
        workloads[name].window(plan.warm_up_s, clock)
    for number in range(plan.most):
        for name in list(workloads)[:: 1 if number % 2 == 0 else -1]:
            clock.sleep(plan.settle_s)
            windows[name].append(workloads[name].window(plan.window_s, clock))
        on_round(number + 1)
        if all(agree(found, plan) for found in windows.values()):
            break
    return {name: Measurement(tuple(found), agree(found, plan)) for name, found in windows.items()}


def measure(workload: Workload, plan: WindowPlan | None = None, *, clock: Clock | None = None) -> Measurement:
    """Measure one workload alone; see `measure_in_turn`."""
    return measure_in_turn({"": workload}, plan, clock=clock)[""]


def measure_pairs(
    workloads: Mapping[str, Workload], num_pairs: int, plan: WindowPlan | None = None, *, clock: Clock | None = None
) -> dict[str, Measurement]:
    """Measure exactly `num_pairs` windows of each workload, in turn; for `speedup`, whose interval needs many pairs."""
    plan = plan or WindowPlan()
    exactly = replace(plan, most=max(num_pairs, plan.fewest), fewest=max(num_pairs, plan.fewest), tolerance=0.0)
    found = measure_in_turn(workloads, exactly, clock=clock)
    return {name: Measurement(one.windows, agree(one.windows, plan)) for name, one in found.items()}


def speedup(one: Measurement, other: Measurement, *, by: Literal["per_s", "median_ms"] = "per_s") -> Interval:
    """Return how many times as fast `one` is as `other`, with its interval over the pairs of windows.

    Args:
        one: measured in turn with `other`.
        other: what it is compared with.
        by: throughput, or the median latency of a window.
    """
    ones, others = ([getattr(window, by) for window in found.windows] for found in (one, other))
    return ratio_interval(ones, others) if by == "per_s" else ratio_interval(others, ones)
