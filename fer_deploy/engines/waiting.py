"""Calls that wait for something outside of this process, such as a server that is away, end when their run ends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fer_deploy.errors import EngineError

_of_thread = threading.local()


class GivenUp(EngineError):
    """A call that was waiting ended because nobody needs its result any more."""


@contextmanager
def waiting_until(given_up: threading.Event) -> Iterator[None]:
    """Let calls of this thread wait only until the event is set, while the context is open."""
    _of_thread.given_up = given_up
    try:
        yield
    finally:
        del _of_thread.given_up


def require_wanted(what: str) -> None:
    """Raise GivenUp if nobody needs the results of this thread any more; `what` names what it waits for."""
    given_up: threading.Event | None = getattr(_of_thread, "given_up", None)
    if given_up is not None and given_up.is_set():
        raise GivenUp(f"the run ended while it waited for {what}")
