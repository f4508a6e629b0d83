"""SegmentPlan: which segment of a video is to be observed next, from which position."""

from typing import Final, NamedTuple

from fer_deploy.analyze.segments.selection import ALL_FRAMES, Selection
from fer_deploy.live.seeking.packet_index import PacketIndex
from fer_deploy.live.seeking.position import Position

_MOST_MISSES: Final = 3
"""Wrong predictions in a row, after which a video is read in order."""


class Planned(NamedTuple):
    """A segment: its number, and the position of its first frame."""

    number: int
    start: Position


class SegmentPlan:
    """Plans segments ahead of what is proven, by predicting their positions from the index of the video's packets.

    A prediction is wrong where a packet gives no frame, or the size of the frames changes. Then the plan starts again
    at the proven position. If that happens too often, or positions cannot be predicted, `why_in_order` says why the
    video is to be read in order.

    Attributes:
        index: of the video's packets; None as long as there is none.
        has_index: whether the index was read, even if there is none.
        proven: the next segment after those that are proven.
        why_in_order: text; empty while segments can be read in any order.
    """

    def __init__(
        self, proven: Planned, num_frames: int, size: tuple[int, int], selection: Selection = ALL_FRAMES
    ) -> None:
        """Start at a proven position.

        Args:
            proven: the first segment to plan.
            num_frames: in a whole segment.
            size: width and height of the video's frames.
            selection: whose range ends the plan.
        """
        self.index: PacketIndex | None = None
        self.has_index = False
        self.proven = proven
        self.why_in_order = ""
        self._num_frames, self._size, self._selection = num_frames, size, selection
        self._next: Planned | None = proven
        self._num_misses = 0
        self._has_ended = False

    def peek(self) -> Planned | None:
        """Return the next segment to observe; None if its position is not known yet, or the video ends before.

        Without the index only the first segment of the video can be read.
        """
        return self._next if self.has_index or (self._next and self._next.start.index == 0) else None

    def take(self) -> Planned:
        """Return the next segment, and plan the one after it."""
        assert self._next is not None
        taken = self._next
        self._next = self._after(taken)
        return taken

    def _after(self, planned: Planned) -> Planned | None:
        if self.index is None:
            return None
        start = self.index.ahead(planned.start, self._num_frames, size=self._size)
        if start is None or self._selection.is_after(start.clock.position_s):
            return None
        return Planned(planned.number + 1, start)

    def set_index(self, index: PacketIndex | None, last: Planned | None) -> None:
        """Set the index once it is read; `last` is the last segment that was taken, if its successor is not planned."""
        self.index, self.has_index = index, True
        if self._next is None and last is not None and not self._has_ended:
            self._next = self._after(last)
        self._check()

    def prove(self, end: Position, *, was_predicted: bool) -> None:
        """Record that the proven segment was observed, and ends at a position."""
        self._num_misses = 0 if was_predicted else self._num_misses
        self.proven = Planned(self.proven.number + 1, end)

    def go_on(self) -> None:
        """Plan the proven segment: it was not planned before it was proven."""
        self._next = self.proven
        self._check()

    def end(self) -> None:
        """Plan no further segment: the video has ended."""
        self._next, self._has_ended = None, True

    def miss(self) -> None:
        """Plan again from the proven position: a prediction was wrong."""
        self._num_misses += 1
        self._next = self.proven
        self._check()

    def _check(self) -> None:
        if not self.has_index or (self.proven.number == 0 and self._num_misses == 0):
            return
        if self.index is None:
            self.why_in_order = "its packets cannot be read"
        elif self.index.why_not:
            self.why_in_order = self.index.why_not
        elif self._num_misses >= _MOST_MISSES:
            self.why_in_order = "its frames do not follow from its packets"
