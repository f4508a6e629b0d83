"""Worker: a thread that reports its failure to a callback."""

import threading
from collections.abc import Callable, Sequence

from fer_deploy.errors import EngineError


class Worker(threading.Thread):
    """Runs `body` once; an exception goes to `on_error(stage, error)`, in this thread.

    The loop joins every worker. Workers are daemons, because a write to a lost disk or a read from a lost network may
    never return; it must not prevent the process from ending after the loop has given it up.
    """

    def __init__(self, stage: str, body: Callable[[], None], on_error: Callable[[str, Exception], None]) -> None:
        super().__init__(name=f"fer-{stage}", daemon=True)
        self._stage, self._body, self._on_error = stage, body, on_error

    @property
    def has_started(self) -> bool:
        """Whether the thread was started."""
        return self.ident is not None

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end; return at once if it was never started."""
        if self.has_started:
            super().join(timeout)

    def run(self) -> None:
        """Run the body and pass on its error."""
        try:
            self._body()
        except Exception as err:  # noqa: BLE001 - a thread ends here
            self._on_error(self._stage, err)


def start_all(threads: Sequence[Worker]) -> None:
    """Start threads in this order.

    Raises:
        EngineError: the system refuses another thread.
    """
    for thread in threads:
        try:
            thread.start()
        except RuntimeError as err:
            raise EngineError(
                f"cannot start the thread {thread.name}: {err}. "
                "Fix: raise the limit of processes (ulimit -u, a container's pids limit), or end other programs"
            ) from err
