"""Signals that end the program: Ctrl-C (SIGINT), SIGTERM and SIGHUP, from the first line of main to the last.

    loading     nothing is open: the process ends at once
    working     `Stopped` is raised in the main thread, and what is open is closed on its way out
    ended       the exit code is known: the process ends at once

The first signal counts. A second one changes nothing, since files are being finished; a third one ends the process
where it is. The exit code is 128 + the signal's number. `fer_deploy.signals` is the same with more phases.
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
"""So many signals end the process where it is."""
_Handler = Callable[[int, FrameType | None], object] | int | None


class Stopped(BaseException):
    """A signal came. No `Exception`: nothing that handles failures may take it for one."""


class _Phase:
    """No enum: few modules are imported before the handlers are there."""

    LOADING = 1
    WORKING = 2
    ENDED = 3


class _Signals:
    """The state of this process; there is one."""

    def __init__(self) -> None:
        self.phase = _Phase.LOADING
        self.came: list[int] = []
        self.has_raised = False
        self.code = 0
        self.before: dict[int, _Handler] = {}
        self.terminals: list[int] = []
        self.pid = os.getpid()

    def exit_code(self) -> int:
        return 128 + self.came[0]

    def message(self) -> str:
        number = self.came[0]
        return "stopped" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.pid:  # a child that was forked: as if nobody had handled it
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
                os.write(2, f"{self.message()}\n".encode())
            os._exit(self.exit_code())
        if self.phase == _Phase.WORKING and len(self.came) == 1:
            self.has_raised = True
            raise Stopped

    def _leave_terminal(self) -> None:
        """Write to nowhere instead of a terminal that is gone: each line would be a failure."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            for handle in self.terminals:
                os.dup2(nowhere, handle)
            os.close(nowhere)


_now = _Signals()


def install() -> None:
    """Take over the signals, for the rest of the process; call it before anything else is imported.

    SIGHUP that is ignored stays ignored, as under nohup. SIGINT does not: shells ignore it for what runs in their
    background, and a kill -INT is meant all the same.
    """
    global _now  # noqa: PLW0603 - signals are the process's, too
    _now = _Signals()
    _now.terminals = [handle for handle in (0, 1, 2) if os.isatty(handle)]
    for number in NUMBERS:
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:
            _now.before[number] = signal.signal(number, _now.on_signal)


@contextmanager
def governed() -> Iterator[None]:
    """Run the program; end it by SystemExit where a signal stopped it. Installs what `install` did not yet.

    What was turned into another error on its way, as an import does with it, still is a stop.
    """
    threading = import_module("threading")  # not at the top: what is imported there delays the handlers
    if threading.current_thread() is not threading.main_thread():  # only there Python lets anybody handle signals
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
    """Say that the command is loaded: from now on files are written that must be finished or removed."""
    if _now.phase == _Phase.LOADING:
        _now.phase = _Phase.WORKING


def check() -> None:
    """Raise `Stopped` again where a library turned it into an error of its own."""
    if _now.has_raised:
        raise Stopped


def message() -> str:
    """Return what the signal was, for people."""
    return _now.message()


def exit_code() -> int:
    """Return what the program ends with, since a signal came."""
    return _now.exit_code()


def _end(code: object) -> None:
    _now.code = 0 if code is None else code if isinstance(code, int) else 1
    _now.phase = _Phase.ENDED
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _without_stops(hook: "Callable[[sys.UnraisableHookArgs], object]") -> "Callable[[sys.UnraisableHookArgs], None]":
    """Return a hook for exceptions that nobody can catch, as in a destructor, that is silent about `Stopped`."""

    def silent(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            hook(unraisable)

    return silent
