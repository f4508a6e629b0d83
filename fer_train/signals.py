"""Signals that end the program: Ctrl-C (SIGINT), SIGTERM and SIGHUP, from the first line of main to the last.

    loading     nothing is open: the process ends at once
    working     `Stopped` is raised in the main thread, and open files are closed while it propagates
    ended       the exit code is known: the process ends at once

The first signal counts. A second one changes nothing, because files are being finished; a third one ends the process
immediately. The exit code is 128 + the signal's number. `fer_deploy.signals` does the same with more phases.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType

NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_FORCED = 3
"""This many signals end the process immediately."""
_Handler = Callable[[int, FrameType | None], object] | int | None


class Stopped(BaseException):
    """A signal arrived. Not an `Exception`, so that no handler of failures catches it."""


class _Phase:
    """Phases of the process. Not an enum, to import few modules before the handlers are installed."""

    LOADING = 1
    WORKING = 2
    ENDED = 3


class _Signals:
    """Signal state of this process; there is one instance."""

    def __init__(self) -> None:
        self.phase = _Phase.LOADING
        self.came: list[int] = []
        self.has_raised = False
        self.code = 0
        self.before: dict[int, _Handler] = {}
        self.terminals: list[int] = []
        self.pid = os.getpid()
        self.line: Callable[[str], str] = "{}\n".format

    def exit_code(self) -> int:
        return 128 + self.came[0]

    def message(self) -> str:
        number = self.came[0]
        return "stopped" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.pid:  # a forked child: act as if there were no handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.came.append(number)
        if number not in (signal.SIGINT, signal.SIGTERM):
            self._leave_terminal()
        if self.phase == _Phase.ENDED:
            os._exit(self.code)
        if len(self.came) >= _FORCED:
            os._exit(128 + number)
        if self.phase == _Phase.LOADING:
            with suppress(OSError):
                os.write(2, self.line(self.message()).encode())
            os._exit(self.exit_code())
        if self.phase == _Phase.WORKING and len(self.came) == 1:
            self.has_raised = True
            raise Stopped

    def _leave_terminal(self) -> None:
        """Redirect a closed terminal to the null device: each line would fail."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            for handle in self.terminals:
                os.dup2(nowhere, handle)
            os.close(nowhere)


_now = _Signals()


def install() -> None:
    """Install the handlers for the rest of the process; call this before any other import.

    An ignored SIGHUP stays ignored, as under nohup. An ignored SIGINT does not: shells ignore it for background jobs,
    but a kill -INT must work there too.
    """
    global _now  # noqa: PLW0603 - signals belong to the process, too
    _now = _Signals()
    _now.terminals = [handle for handle in (0, 1, 2) if os.isatty(handle)]
    for number in NUMBERS:
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:
            _now.before[number] = signal.signal(number, _now.on_signal)


@contextmanager
def governed() -> Iterator[None]:
    """Run the program and raise SystemExit if a signal stopped it. Installs the handlers if `install` has not.

    A `Stopped` that was turned into another error, as an import does, still counts as a stop.
    """
    threading = import_module("threading")  # not at the top: imports there delay the handlers
    if threading.current_thread() is not threading.main_thread():  # Python handles signals only in the main thread
        yield
        return
    is_guest = not _now.before
    if is_guest:
        install()
    hook, sys.unraisablehook = sys.unraisablehook, _without_stops(sys.unraisablehook)
    try:
        yield
    except SystemExit as err:
        _end(err.code)
        raise
    except BaseException as err:
        if not (isinstance(err, Stopped) or _now.has_raised):
            _end(1)
            raise
        _end(_now.exit_code())
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{_now.message()}\n")
        sys.exit(_now.code)
    else:
        _end(0)
    finally:
        sys.unraisablehook = hook
        if is_guest:
            for number, handler in _now.before.items():
                signal.signal(number, handler)
            _now.before = {}


def working() -> None:
    """Mark the command as loaded: from now on it writes files that must be finished or removed."""
    if _now.phase == _Phase.LOADING:
        _now.phase = _Phase.WORKING


def lines_by(line: Callable[[str], str]) -> None:
    """Turn the message of a signal that ends the process at once into a line with `line`, such as one of JSON."""
    _now.line = line


def check() -> None:
    """Raise `Stopped` again if a library turned it into another error."""
    if _now.has_raised:
        raise Stopped


def message() -> str:
    """Return the name of the signal, for people."""
    return _now.message()


def exit_code() -> int:
    """Return the exit code after a signal."""
    return _now.exit_code()


def _end(code: object) -> None:
    _now.code = 0 if code is None else code if isinstance(code, int) else 1
    _now.phase = _Phase.ENDED
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _without_stops(hook: "Callable[[sys.UnraisableHookArgs], object]") -> "Callable[[sys.UnraisableHookArgs], None]":
    """Return a hook for exceptions in destructors that says nothing about `Stopped`."""

    def silent(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            hook(unraisable)

    return silent
