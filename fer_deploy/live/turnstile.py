"""Turnstile: lets workers that finish in any order pass one after another in the order of their tickets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Aborted(Exception):
    """The loop ends; a ticket before this one will never pass."""


class Turnstile:
    """Tickets are 0, 1, 2, ...; each passes once."""

    def __init__(self) -> None:
        self._next = 0
        self._aborted = False
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, ticket: int) -> Iterator[None]:
        """Wait until every earlier ticket has passed, hold all later ones back meanwhile.

        Raises:
            Aborted: `abort` was called, or an earlier ticket failed within its turn.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._aborted or self._next == ticket)
            if self._aborted:
                raise Aborted
        try:
            yield
        except BaseException:
            self.abort()
            raise
        with self._changed:
            self._next += 1
            self._changed.notify_all()

    def abort(self) -> None:
        """Turn away everyone who waits or comes."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()
