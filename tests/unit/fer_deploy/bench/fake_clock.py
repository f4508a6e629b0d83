"""A clock that goes on only when it is told to, and calls that take a known time on it."""

from collections.abc import Callable, Iterable
from itertools import cycle


class FakeClock:
    """Time in seconds; `cores` threads compute while it goes on."""

    def __init__(self, cores: float = 1.0) -> None:
        self.time_s, self.slept_s, self._cores = 0.0, 0.0, cores

    def now(self) -> float:
        return self.time_s

    def cpu(self) -> float:
        return (self.time_s - self.slept_s) * self._cores

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds
        self.slept_s += seconds

    def call(self, seconds: float | Iterable[float]) -> Callable[[], None]:
        """Return a call that takes these seconds, one after the other and again from the start."""
        times = cycle([seconds] if isinstance(seconds, int | float) else list(seconds))

        def run() -> None:
            self.time_s += next(times)

        return run
