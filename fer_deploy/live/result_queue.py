"""ResultQueue: the sink behind `for result in LivePipeline(...)`."""

from collections.abc import Callable, Iterator

from fer_deploy.live.sinks import Picture, Sink
from fer_deploy.live.threads.buffer import Buffer, DropPolicy, Signal
from fer_deploy.live.threads.worker import Worker
from fer_deploy.vision.types import FrameResult


class ResultQueue(Sink):
    """Hands results to a loop in another thread, one at a time; the outlet before it keeps or drops what waits."""

    name = "results"

    def __init__(self) -> None:
        self._results: Buffer[FrameResult] = Buffer(1, DropPolicy.WAIT)

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Wait until the reader has taken the one before; end the run once the reader has left."""
        return self._results.put(result)

    def close(self) -> None:
        """Tell the reader that nothing more comes."""
        self._results.finish()

    def results(self) -> Iterator[FrameResult]:
        """Yield what is written until `close`."""
        while not isinstance(result := self._results.get(), Signal):
            yield result

    def leave(self) -> None:
        """Say that nobody reads any more."""
        self._results.close()


def results_in_background(
    queue: ResultQueue, run: Callable[[], object], stop: Callable[[], None]
) -> Iterator[FrameResult]:
    """Run a loop in a thread of its own and yield its results; leaving ends it.

    Args:
        queue: one of its sinks.
        run: runs it to its end.
        stop: asks it to end.

    Raises:
        FerDeployError: what `run` raises, once the results before are through.
    """
    failures: list[Exception] = []

    def body() -> None:
        run()

    runner = Worker("run", body, lambda _, err: failures.append(err))
    runner.start()
    try:
        yield from queue.results()
    finally:
        queue.leave()
        stop()
        runner.join()
    if failures:
        raise failures[0]
