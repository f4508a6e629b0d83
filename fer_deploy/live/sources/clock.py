"""RecordingClock: compute positions in a recording from timestamps, some of which may be wrong."""

from typing import Final, NamedTuple, Self

AHEAD_S: Final = 60.0
"""A longer gap counts as a wrong timestamp: screen recordings and motion-triggered cameras pause for many seconds, but
damaged timestamps are wrong by hours."""
SAME_RATE: Final = 0.1
"""A gap equal to the previous one within this share is the frame rate, as in a film of one frame an hour."""
BACK_S: Final = 1.0
"""Limit of a step back from frames in wrong order; after a larger step another recording begins."""


class ClockState(NamedTuple):
    """The state of a `RecordingClock`; its fields are private to it."""

    position_s: float = 0.0
    counted_from_s: float = 0.0
    num_counted: int = -1
    starts_s: tuple[float, ...] = ()
    last_stamp_s: float | None = None
    gap_s: float = 0.0


class RecordingClock:
    """Counts seconds from a recording's first frame. It never runs back, and stops for at most `BACK_S`.

    A timestamp up to `BACK_S` before the last position does not change the clock. One farther back, or more than
    `AHEAD_S` ahead, is a jump: the clock advances by one frame and counts from there, or returns to the earlier count
    when timestamps fit it again. So a single wrong timestamp has no effect, joined recordings follow each other, and
    variable frame rates and pauses of up to `AHEAD_S` keep their length. A wrong timestamp less than `AHEAD_S` ahead is
    not detected, and delays all that follows.

    Used by one thread at a time.
    """

    def __init__(self) -> None:
        self._position_s = 0.0
        self._counted_from_s = 0.0
        self._num_counted = -1
        self._starts_s: list[float] = []  # timestamps of position 0: as counted now, and as before the last jump
        self._last_stamp_s: float | None = None
        self._gap_s = 0.0

    @classmethod
    def from_state(cls, state: ClockState) -> Self:
        """Return a clock that continues exactly from `state`."""
        clock = cls()
        clock._position_s, clock._counted_from_s, clock._num_counted = state[:3]
        clock._starts_s, clock._last_stamp_s, clock._gap_s = list(state.starts_s), state.last_stamp_s, state.gap_s
        return clock

    def state(self) -> ClockState:
        """Return the state before the next frame."""
        counted = (self._position_s, self._counted_from_s, self._num_counted)
        return ClockState(*counted, tuple(self._starts_s), self._last_stamp_s, self._gap_s)

    def time_s(self, stamp_s: float | None, fps: float) -> float:
        """Return the next frame's position, in seconds.

        Args:
            stamp_s: its timestamp in seconds, with any origin; None if it has none.
            fps: frames per second, for frames without a usable timestamp.
        """
        self._num_counted += 1
        counted_s = self._counted_from_s + self._num_counted / fps
        if stamp_s is None:
            self._position_s = counted_s
        else:
            self._position_s = self._counted_from_s = self._position_of(stamp_s, counted_s)
            self._num_counted = 0
        return self._position_s

    def _position_of(self, stamp_s: float, counted_s: float) -> float:
        """Return the position of a timestamp, or `counted_s` after a jump, from where the clock then counts."""
        ahead_s = self._furthest_ahead_s(stamp_s)
        fitting = [one for one in self._starts_s if -BACK_S <= stamp_s - one - self._position_s <= ahead_s]
        start_s = min(fitting, key=lambda one: abs(stamp_s - one - counted_s), default=stamp_s - counted_s)
        self._starts_s = [start_s, *(one for one in self._starts_s if one != start_s)][:2]
        return max(self._position_s, stamp_s - start_s)

    def _furthest_ahead_s(self, stamp_s: float) -> float:
        gap_s = 0.0 if self._last_stamp_s is None else stamp_s - self._last_stamp_s
        is_rate = abs(gap_s - self._gap_s) <= SAME_RATE * self._gap_s
        self._last_stamp_s, self._gap_s = stamp_s, gap_s
        return 2 * gap_s if is_rate and gap_s > AHEAD_S else AHEAD_S
