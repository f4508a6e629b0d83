"""ResultQueue: the sink behind `for result in LivePipeline(...)`."""

import atexit
from collections.abc import Callable, Iterable, Iterator

from fer_deploy.errors import ConfigError
from fer_deploy.live.sinks import Picture, Sink
from fer_deploy.live.threads.buffer import Buffer, DropPolicy, Signal
from fer_deploy.live.threads.worker import Worker
from fer_deploy.vision.types import FrameResult


class ResultQueue(Sink):
    """Passes results to a loop in another thread, one at a time; its outlet queues or drops the others."""

    name = "results"

    def __init__(self) -> None:
        self._results: Buffer[FrameResult] = Buffer(1, DropPolicy.WAIT)

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Wait until the reader has received the previous result; end the run once the reader has left."""
        return self._results.put(result)

    def close(self) -> None:
        """Signal the end to the reader."""
        self._results.finish()

    def results(self) -> Iterator[FrameResult]:
        """Yield the written results until `close`."""
        while not isinstance(result := self._results.get(), Signal):
            yield result

    def leave(self) -> None:
        """Signal that the reader has left."""
        self._results.close()


def results_in_background(
    queue: ResultQueue, run: Callable[[], object], stop: Callable[[], None]
) -> Iterator[FrameResult]:
    """Run a loop in its own thread and yield its results; closing the iterator ends the run.

    Args:
        queue: one of the loop's sinks.
        run: runs the loop to its end.
        stop: asks the loop to end.

    Raises:
        FerDeployError: from `run`, after the results before it.
    """
    failures: list[Exception] = []

    def body() -> None:
        run()

    runner = Worker("run", body, lambda _, err: failures.append(err))

    def end() -> None:
        queue.leave()
        stop()
        runner.join()

    runner.start()
    atexit.register(end)  # a program may end with the iterator open; threads inside C++ would then abort the process
    try:
        yield from queue.results()
    finally:
        atexit.unregister(end)
        end()
    if failures:
        raise failures[0]


def require_free_main_thread(sinks: Iterable[Sink]) -> None:
    """Check that no sink needs the main thread, which the reader's loop uses.

    Raises:
        ConfigError: one does.
    """
    main = next((sink.name for sink in sinks if sink.needs_main_thread), None)
    if main is not None:
        raise ConfigError(
            f"cannot yield results beside the {main} sink: it needs the main thread, which the caller's for loop "
            "uses. Fix: call run() instead, or leave that sink out"
        )
