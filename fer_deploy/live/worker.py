"""Worker: a thread whose failure is reported instead of printed."""

import threading
from collections.abc import Callable


class Worker(threading.Thread):
    """Runs `body` once; whatever it raises goes to `on_error(stage, error)`, in this thread.

    The loop joins every worker. They are daemons all the same: a write to a disk that is gone, or a read of a file on a
    network that is, may never return, and must not keep the process from ending once the loop has given it up.
    """

    def __init__(self, stage: str, body: Callable[[], None], on_error: Callable[[str, Exception], None]) -> None:
        super().__init__(name=f"fer-{stage}", daemon=True)
        self._stage, self._body, self._on_error = stage, body, on_error

    def run(self) -> None:
        """Run the body; the thread's end, where every error is caught."""
        try:
            self._body()
        except Exception as err:  # noqa: BLE001 - a thread ends here
            self._on_error(self._stage, err)
