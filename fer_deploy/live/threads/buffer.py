"""Buffer: a bounded queue between two threads. When full it waits or drops the oldest; closing it wakes all threads."""

import threading
from collections import deque
from enum import StrEnum
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class DropPolicy(StrEnum):
    """What `put` does when the buffer is full."""

    WAIT = "wait"
    DROP_OLDEST = "drop_oldest"


class Signal:
    """Type of `END` and `PENDING`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


END: Final = Signal("END")
"""Returned by `get` once the buffer is finished and empty, or closed."""
PENDING: Final = Signal("PENDING")
"""Returned by `get` when its timeout passed without an item."""


class Buffer(Generic[T]):
    """A bounded queue between threads that produce and one that consumes.

    `finish` is the regular end: waiting items are still delivered. `close` is for failure and stop: waiting items are
    discarded, and all waiting threads wake at once.
    """

    def __init__(self, capacity: int, policy: DropPolicy) -> None:
        """Create a buffer of at most `capacity` items; `capacity` is at least 1."""
        assert capacity >= 1
        self._capacity = capacity
        self._policy = policy
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._closed = False
        self._num_dropped = 0
        self._num_forgotten = 0

    @property
    def num_dropped(self) -> int:
        """Number of items dropped for newer ones, or put after `finish`."""
        return self._num_dropped

    @property
    def num_forgotten(self) -> int:
        """Number of items discarded by `close`, or put after it."""
        return self._num_forgotten

    def put(self, item: T) -> bool:
        """Add an item; if full, wait or drop the oldest. Return False once the buffer is finished or closed."""
        with self._changed:
            if self._policy is DropPolicy.WAIT:
                self._changed.wait_for(self._takes_or_refuses)
            if self._closed:
                self._num_forgotten += 1
                return False
            if self._finished:
                self._num_dropped += 1
                return False
            self._drop_to(self._capacity - 1)
            self._items.append(item)
            self._changed.notify_all()
            return True

    def drop_oldest(self, capacity: int) -> None:
        """Switch to `DROP_OLDEST` with a new `capacity`; waiting producers continue."""
        with self._changed:
            self._policy, self._capacity = DropPolicy.DROP_OLDEST, capacity
            self._drop_to(capacity)
            self._changed.notify_all()

    def _takes_or_refuses(self) -> bool:
        is_over = self._closed or self._finished
        return is_over or self._policy is DropPolicy.DROP_OLDEST or len(self._items) < self._capacity

    def _drop_to(self, num: int) -> None:
        while len(self._items) > num:
            self._items.popleft()
            self._num_dropped += 1

    def get(self, timeout_s: float | None = None) -> "T | Signal":
        """Return the oldest item, `END`, or `PENDING` when `timeout_s` passed first."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._finished or bool(self._items), timeout_s)
            if self._closed or (self._finished and not self._items):
                return END
            if not self._items:
                return PENDING
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def finish(self) -> None:
        """Accept no further items; waiting ones are still delivered."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> None:
        """Discard waiting items and wake all waiting threads."""
        with self._changed:
            self._closed = True
            self._num_forgotten += len(self._items)
            self._items.clear()
            self._changed.notify_all()
