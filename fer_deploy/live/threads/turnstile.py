"""Turnstile: workers finish in any order, and pass one at a time in the order of their tickets."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Aborted(Exception):
    """An earlier ticket failed, so this one never passes."""


class Turnstile:
    """Tickets are 0, 1, 2, ...; each passes once, unless an earlier one failed."""

    def __init__(self) -> None:
        self._next = 0
        self._failed = math.inf
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, ticket: int) -> Iterator[None]:
        """Wait until every earlier ticket has passed; later ones wait until the block ends.

        Raises:
            Aborted: an earlier ticket failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failed <= ticket or self._next == ticket)
            if self._failed <= ticket:
                raise Aborted
        yield
        with self._changed:
            self._next += 1
            self._changed.notify_all()

    def fail(self, ticket: int) -> None:
        """Abort this ticket and all later ones; earlier ones still pass."""
        with self._changed:
            self._failed = min(self._failed, ticket)
            self._changed.notify_all()
