"""What a builder says while it works: its log, kept for the error message, and its progress."""

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int], None]
"""Called with the name of a phase, steps done and steps in all; from whichever thread the builder chooses."""

_MAX_LINES = 200
_NO_DRIVER = "cudaError 35"
"""Said on machines without a driver whenever anything else went wrong; never the cause of a failed parse."""


class BuildLog:
    """Collects warnings and errors. `logger` and `monitor` live as long as this object; the builder needs them so."""

    def __init__(self, trt: Any, progress: Progress | None = None) -> None:
        self.errors: list[str] = []
        self.lines: list[str] = []
        self.failure: BaseException | None = None
        self.logger = _make_logger(trt, self)
        self.monitor = _make_monitor(trt, self, progress)

    def cause(self) -> str:
        """Return the first error that names a cause, in one line."""
        told = [line for line in self.errors if _NO_DRIVER not in line] or self.errors
        return " ".join(told[0].split()) if told else "the builder gave no reason"

    def text(self) -> str:
        """Return the last warnings and errors, one a line, to be attached to an error."""
        return "\n".join(["builder log:", *self.lines[-_MAX_LINES:]])


def without_driver_noise(text: str) -> str:
    """Return the lines of a parser's message that speak of the graph, joined to one."""
    lines = [line.strip() for line in text.splitlines() if _NO_DRIVER not in line]
    return "; ".join(line for line in lines if line)


def _make_logger(trt: Any, log: BuildLog) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                log.errors.append(message)
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR, trt.ILogger.WARNING):
                log.lines.append(f"{severity.name}: {message}")

    return Logger()


def _make_monitor(trt: Any, log: BuildLog, progress: Progress | None) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """An exception must not cross the C++ frames: it is kept in `log.failure`, and the build cancelled."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.totals: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.totals[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                if progress is not None and log.failure is None:
                    progress(phase_name, step + 1, self.totals.get(phase_name, step + 1))
            except BaseException as err:  # noqa: BLE001 - re-raised by whoever started the build
                log.failure = err
            return log.failure is None

        def phase_finish(self, phase_name: str) -> None:
            self.totals.pop(phase_name, None)

    return Monitor()
