"""Timestamps: compute each frame's presentation time from the container's packet times."""

import heapq
from typing import Any, Final

MAX_REORDERED: Final = 17
"""More frames than any codec reorders: H.264 and HEVC allow 16."""


class Timestamps:
    """Corrects the times of packets before decoding, and of frames after decoding. All times are in ticks.

    It fixes two faults. In files joined byte by byte the clock restarts with each piece: decoding times go back, which
    they never do within a piece, so the new piece is moved behind the previous one. And containers such as AVI store
    only decoding times, but B-frames are shown in another order; then the frames get these times in ascending order.

    Used by one thread at a time.
    """

    def __init__(self, ticks_per_frame: int, *, knows_order: bool = False) -> None:
        """Start before a packet.

        Args:
            ticks_per_frame: for packets without a duration.
            knows_order: whether a presentation time of an earlier packet was before that of its predecessor.
        """
        self._usual = max(1, ticks_per_frame)
        self._step = self._usual
        self._shift = 0
        self._last_dts: int | None = None  # as moved
        self._latest: int | None = None  # latest presentation time, as moved
        self._before: tuple[int, int] | None = None  # shift and last decoding time before a jump back
        self._last_pts: int | None = None
        self._knows_order = knows_order
        self._waiting: list[int] = []

    def correct_packet(self, packet: Any) -> None:
        """Move a packet's times behind those of earlier pieces, and store its presentation time."""
        if packet.dts is not None:
            dts, due = packet.dts, packet.dts if packet.pts is None else packet.pts
            dts = min(dts, due)  # FFmpeg derives decoding times of later packets from a wrong time
            self._follow(dts, due)
            self._last_dts, self._step = dts + self._shift, packet.duration or self._usual
            if self._shift:
                packet.dts += self._shift
                packet.pts = None if packet.pts is None else packet.pts + self._shift
        due = packet.dts if packet.pts is None else packet.pts
        if due is not None:
            self._latest = due if self._latest is None else max(self._latest, due)
        self.note_packet(packet)

    def note_packet(self, packet: Any) -> None:
        """Store the presentation time of a packet whose times are correct."""
        if packet.pts is not None:
            self._knows_order = self._knows_order or (self._last_pts is not None and packet.pts < self._last_pts)
            self._last_pts = packet.pts
            heapq.heappush(self._waiting, packet.pts)
            if len(self._waiting) > MAX_REORDERED:
                heapq.heappop(self._waiting)

    def forget_packet(self, packet: Any) -> None:
        """Remove a packet that could not be decoded."""
        if packet.pts in self._waiting:
            self._waiting.remove(packet.pts)
            heapq.heapify(self._waiting)

    def pts_of(self, pts: int | None, *, has_reordering: bool) -> int | None:
        """Return the next frame's presentation time.

        Args:
            pts: time from the decoder.
            has_reordering: whether the codec delivers frames in another order than packets.
        """
        if pts is None or not self._waiting:
            return pts
        if has_reordering and not self._knows_order:
            return heapq.heappop(self._waiting)
        while self._waiting and self._waiting[0] <= pts:
            heapq.heappop(self._waiting)
        return pts

    def _follow(self, dts: int, due: int) -> None:
        """Update the shift for a packet whose frame has presentation time `due`."""
        if self._last_dts is None or self._latest is None:
            return
        before, self._before = self._before, None
        if before is not None and 0 <= dts + before[0] - before[1] <= 3 * self._step:
            self._shift = before[0]  # it was a single wrong time, not a new piece
        elif dts + self._shift < self._last_dts:
            self._before = (self._shift, self._last_dts)
            self._shift = self._latest + self._step - due
