"""Worker: a thread whose failure is reported instead of printed. Never a daemon: the loop always joins it."""

import threading
from collections.abc import Callable


class Worker(threading.Thread):
    """Runs `body` once; whatever it raises goes to `on_error(stage, error)`, in this thread."""

    def __init__(self, stage: str, body: Callable[[], None], on_error: Callable[[str, Exception], None]) -> None:
        super().__init__(name=f"fer-{stage}", daemon=False)
        self._stage, self._body, self._on_error = stage, body, on_error

    def run(self) -> None:
        """Run the body; the thread's end, where every error is caught."""
        try:
            self._body()
        except Exception as err:  # noqa: BLE001 - a thread ends here
            self._on_error(self._stage, err)
