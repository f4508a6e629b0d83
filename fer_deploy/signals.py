"""Handle the signals that end the program: Ctrl-C (SIGINT), SIGTERM and SIGHUP.

What a signal does depends on the phase of the process:

    loading     nothing is open: the process ends at once
    working     `Stopped` is raised in the main thread, and open files are closed as the stack unwinds
    held        signals are recorded and passed to the callback set by `on_stop`; nothing is raised
    ended       the exit code is known: the process ends at once

The first signal stops the program. A second signal changes nothing, since outputs are being finished; a third ends the
process at once. The exit code is 128 + the signal's number, or 0 for a command whose regular end is a signal. In a
block of `reloaded_by`, SIGHUP ends nothing unless a terminal was closed.
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
"""Number of signals that end the process at once."""
_Handler = Callable[[int, FrameType | None], object] | int | None


class Stopped(BaseException):
    """A signal arrived. It is not an `Exception`, so handlers of failures do not catch it."""


class _Phase:
    """Phases as plain integers: importing enum would delay the installation of the handlers."""

    LOADING = 1
    WORKING = 2
    HELD = 3
    ENDED = 4


class _Signals:
    """Signal state of this process; there is one instance."""

    def __init__(self) -> None:
        self.phase = _Phase.LOADING
        self.came: list[int] = []
        self.is_regular = self.has_raised = False
        self.stop: Callable[[], None] | None = None
        self.reload: Callable[[], None] | None = None
        self.code = 0
        self.before: dict[int, _Handler] = {}
        self.terminals: list[int] = []
        self.pid = os.getpid()
        self.line: Callable[[str], str] = "{}\n".format

    def exit_code(self) -> int:
        return 0 if self.is_regular else 128 + self.came[0]

    def message(self) -> str:
        if self.is_regular:
            return "ended before the first frame"
        number = self.came[0]
        return "stopped" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.pid:  # a forked child: restore the default action
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if self.reload is not None and number not in (signal.SIGINT, signal.SIGTERM) and not self._has_hung_up():
            self.reload()
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
        if self.stop is not None:
            self.stop()
        elif self.phase == _Phase.WORKING and len(self.came) == 1:
            self.has_raised = True
            raise Stopped

    def _has_hung_up(self) -> bool:
        """Return whether a terminal that this process was started from is gone."""
        return not all(map(os.isatty, self.terminals))

    def _leave_terminal(self) -> None:
        """Redirect output from a terminal that is gone to the null device; each write would fail."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            for handle in self.terminals:
                os.dup2(nowhere, handle)
            os.close(nowhere)


_now = _Signals()


def install(*, is_regular: bool = False) -> None:
    """Install the handlers for the rest of the process. Call it before other imports.

    An ignored SIGHUP stays ignored, as under nohup. An ignored SIGINT does not: shells ignore it for background jobs,
    but a kill -INT must still stop them.

    Args:
        is_regular: whether a signal is the regular end of the command.
    """
    global _now  # noqa: PLW0603 - signals are global to the process, too
    _now = _Signals()
    _now.is_regular = is_regular
    _now.terminals = [handle for handle in (0, 1, 2) if os.isatty(handle)]
    for number in NUMBERS:
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:
            _now.before[number] = signal.signal(number, _now.on_signal)


@contextmanager
def governed() -> Iterator[None]:
    """Run the program and end it by SystemExit if a signal stopped it. Installs the handlers if `install` did not.

    A `Stopped` that a library turned into another error, as an import does, still counts as a stop.
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


def working(*, is_regular: bool) -> None:
    """Enter the phase "working": the command opens files that must be closed. `is_regular`: see `install`."""
    _now.is_regular = is_regular
    if _now.phase == _Phase.LOADING:
        _now.phase = _Phase.WORKING


def lines_by(line: Callable[[str], str]) -> None:
    """Turn the message of a signal that ends the process at once into a line with `line`, such as one of JSON."""
    _now.line = line


def check() -> None:
    """Raise `Stopped` again if a library turned it into another error."""
    if _now.has_raised:
        raise Stopped


@contextmanager
def held() -> Iterator[None]:
    """Record signals in this block instead of raising `Stopped`; `on_stop` sets a callback for them."""
    before, _now.phase = _now.phase, _Phase.HELD
    try:
        yield
    finally:
        _now.phase, _now.stop = before, None


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` for each signal until the block of `held` ends, and at once if one has already arrived.

    Args:
        stop: must take no lock and return quickly: it runs between any two instructions of the main thread.
    """
    _now.stop = stop
    if _now.came:
        stop()


@contextmanager
def reloaded_by(reload: Callable[[], None]) -> Iterator[None]:
    """Call `reload` for each SIGHUP in this block, in place of the end of the program.

    A closed terminal sends SIGHUP, too, and still ends it.

    Args:
        reload: must take no lock and return quickly, as for `on_stop`.
    """
    _now.reload = reload
    try:
        yield
    finally:
        _now.reload = None


def came() -> tuple[int, ...]:
    """Return the numbers of the signals that have arrived."""
    return tuple(_now.came)


def _end(code: object) -> None:
    _now.code = 0 if code is None else code if isinstance(code, int) else 1
    _now.phase = _Phase.ENDED
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _without_stops(hook: "Callable[[sys.UnraisableHookArgs], object]") -> "Callable[[sys.UnraisableHookArgs], None]":
    """Return a hook for exceptions that cannot be caught, as in a destructor, that ignores `Stopped`."""

    def silent(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            hook(unraisable)

    return silent
