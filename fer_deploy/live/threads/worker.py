"""Worker: a thread whose failure is reported instead of printed."""

import threading
from collections.abc import Callable, Sequence

from fer_deploy.errors import EngineError


class Worker(threading.Thread):
    """Runs `body` once; whatever it raises goes to `on_error(stage, error)`, in this thread.

    The loop joins every worker. They are daemons all the same: a write to a disk that is gone, or a read of a file on a
    network that is, may never return, and must not keep the process from ending once the loop has given it up.
    """

    def __init__(self, stage: str, body: Callable[[], None], on_error: Callable[[str, Exception], None]) -> None:
        super().__init__(name=f"fer-{stage}", daemon=True)
        self._stage, self._body, self._on_error = stage, body, on_error

    @property
    def has_started(self) -> bool:
        """Whether it ran or runs."""
        return self.ident is not None

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end; for one that never started there is none."""
        if self.has_started:
            super().join(timeout)

    def run(self) -> None:
        """Run the body; the thread's end, where every error is caught."""
        try:
            self._body()
        except Exception as err:  # noqa: BLE001 - a thread ends here
            self._on_error(self._stage, err)


def start_all(threads: Sequence[Worker]) -> None:
    """Start them in this order.

    Raises:
        EngineError: the system gives no further thread.
    """
    for thread in threads:
        try:
            thread.start()
        except RuntimeError as err:
            raise EngineError(
                f"cannot start the thread {thread.name}: {err}. "
                "Fix: raise the limit of processes (ulimit -u, a container's pids limit), or end other programs"
            ) from err
