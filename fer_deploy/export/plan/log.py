"""Collect the log and the progress of a TensorRT builder."""

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int], None]
"""Function called with the name of a phase, steps done and total steps, from any thread of the builder."""

_MAX_LINES = 200
_NO_DRIVER = "cudaError 35"
"""Error text on machines without a driver that follows any other error; never the cause of a failed parse."""


class BuildLog:
    """Warnings and errors of a build. `logger` and `monitor` must live as long as the builder uses them."""

    def __init__(self, trt: Any, progress: Progress | None = None) -> None:
        self.errors: list[str] = []
        self.lines: list[str] = []
        self.failure: BaseException | None = None
        self.logger = _make_logger(trt, self)
        self.monitor = _make_monitor(trt, self, progress)

    def cause(self) -> str:
        """Return the first error that names a cause, in one line."""
        errors = [line for line in self.errors if _NO_DRIVER not in line] or self.errors
        return " ".join(errors[0].split()) if errors else "the builder gave no reason"

    def text(self) -> str:
        """Return the last warnings and errors, one per line, to attach to an error."""
        return "\n".join(["builder log:", *self.lines[-_MAX_LINES:]])


def without_driver_noise(text: str) -> str:
    """Return the lines of a parser's message about the graph, joined to one line."""
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
        """Progress monitor. An exception must not cross C++ frames: `log.failure` stores it and the build stops."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.totals: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.totals[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                if progress is not None and log.failure is None:
                    progress(phase_name, step + 1, self.totals.get(phase_name, step + 1))
            except BaseException as err:  # noqa: BLE001 - re-raised by the caller of the build
                log.failure = err
            return log.failure is None

        def phase_finish(self, phase_name: str) -> None:
            self.totals.pop(phase_name, None)

    return Monitor()
