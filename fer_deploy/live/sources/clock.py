"""RecordingClock: positions in a recording, from timestamps some of which may be wrong."""

from typing import Final

AHEAD_S: Final = 60.0
"""A longer gap is taken for a wrong timestamp: recorded screens and motion-triggered cameras pause for many seconds,
while damaged timestamps are off by hours."""
SAME_RATE: Final = 0.1
"""Unless it is the gap before once more, to this share of it: in a film of one frame an hour this is the rate."""
BACK_S: Final = 1.0
"""As far back as a damaged order of frames may lead; farther back, another recording begins."""


class RecordingClock:
    """Counts seconds from a recording's first frame; never runs back, and stands still for `BACK_S` at most.

    A timestamp up to `BACK_S` before the last position leaves the clock where it is. One farther back, or more than
    `AHEAD_S` ahead, is a jump: the clock goes on by one frame and counts from there, or as it counted before once
    timestamps fit that again. So one wrong timestamp costs nothing, joined recordings follow one another, and variable
    frame rates and pauses of up to `AHEAD_S` keep their length. A wrong timestamp by less than `AHEAD_S` ahead is
    believed, and what follows is late by as much.

    Not for several threads.
    """

    def __init__(self) -> None:
        self._position_s = 0.0
        self._counted_from_s = 0.0
        self._num_counted = -1
        self._starts_s: list[float] = []  # timestamps of position 0: as counted now, and as before the last jump
        self._last_stamp_s: float | None = None
        self._gap_s = 0.0

    def time_s(self, stamp_s: float | None, fps: float) -> float:
        """Return the next frame's position, in seconds.

        Args:
            stamp_s: its timestamp in seconds, whatever the first one's is; None where it has none.
            fps: frames per second, for frames whose timestamp does not tell.
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
        """Return where a timestamp lies, or, where that cannot be, `counted_s`, which is the new start's position."""
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
