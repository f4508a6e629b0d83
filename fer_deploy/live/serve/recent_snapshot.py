"""RecentSnapshot: the loop's state, asked for at most twice a second however many want to know."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from fer_deploy.live.stats import LiveSnapshot

MAX_AGE_S = 0.5


class RecentSnapshot:
    """Shares one snapshot among viewers, scrapes and health checks: its percentiles cost milliseconds."""

    def __init__(self, take: Callable[[], LiveSnapshot], executor: Executor) -> None:
        """Take snapshots in `executor`, not in the event loop."""
        self._take, self._executor = take, executor
        self._taken_s = float("-inf")
        self._taking: asyncio.Future[LiveSnapshot] | None = None

    async def get(self) -> LiveSnapshot:
        """Return a snapshot that was taken at most `MAX_AGE_S` ago, or is being taken now."""
        loop = asyncio.get_running_loop()
        if self._taking is None or (self._taking.done() and loop.time() - self._taken_s > MAX_AGE_S):
            self._taken_s = loop.time()
            self._taking = loop.run_in_executor(self._executor, self._take)
        return await asyncio.shield(self._taking)
