"""Intake: where frames of all sources wait for the workers. A lane a source; recordings wait, live lanes drop."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fer_deploy.vision.types import Frame

CHUNK_BYTES = 16 * 2**20
"""Frames of a recording are taken in chunks up to this size: fewer hand-overs, and larger batches for the engine."""
CHUNK_FRAMES: Final = 4


class Chunk(NamedTuple):
    """Consecutive frames of one source, for one worker.

    Attributes:
        source: which one, from 0.
        ticket: the chunk's place among those of its source, from 0.
        frames: at least one.
        num_before: frames of its source in the chunks before.
        is_live: whether its source is, as known since its first frame.
    """

    source: int
    ticket: int
    frames: tuple[Frame, ...]
    num_before: int
    is_live: bool


@dataclass
class _Lane:
    is_live: bool
    chunk: int
    frames: deque[Frame] = field(default_factory=deque)
    finished: bool = False
    num_tickets: int = 0
    num_given: int = 0
    num_dropped: int = 0
    capacity: int = 1

    def is_ready(self) -> bool:
        wanted = 1 if self.is_live or self.finished else self.chunk
        return len(self.frames) >= wanted


class Intake:
    """Joins the capture threads to the workers.

    A live lane holds the newest frame only and counts those that gave way. A recording's lane makes its capture thread
    wait, and gives its frames in chunks. Lanes are served in turn.
    """

    def __init__(self, are_live: Sequence[bool], *, max_frames: int | None = None, multiple: int = 1) -> None:
        """Make a lane for each source.

        Args:
            are_live: for each source, whether it is live.
            max_frames: give out at most this many, over all lanes.
            multiple: chunks of recordings have a multiple of this many frames, but for the last one.
        """
        self._multiple = multiple
        self._lanes = [_Lane(is_live, multiple) for is_live in are_live]
        self._left = max_frames
        self._next = 0
        self._changed = threading.Condition()
        self._closed = False

    def num_dropped(self, source: int) -> int:
        """Return how many frames of a source gave way to newer ones."""
        return self._lanes[source].num_dropped

    def set_live(self, source: int, is_live: bool) -> None:
        """Say what a source proved to be that could not be asked before; called ahead of its first frame."""
        with self._changed:
            self._lanes[source].is_live = is_live

    def put(self, source: int, frame: Frame) -> bool:
        """Add a frame, waiting or dropping as the lane does. Return False once no further frame is wanted."""
        lane = self._lanes[source]
        with self._changed:
            if lane.is_live:
                if lane.frames:
                    lane.frames.popleft()
                    lane.num_dropped += 1
            else:
                self._fit_chunk(lane, frame)
                self._changed.wait_for(lambda: self._is_over() or len(lane.frames) < lane.capacity)
            if self._is_over():
                return False
            lane.frames.append(frame)
            if lane.is_ready():
                self._changed.notify_all()
            return True

    def take(self) -> Chunk | None:
        """Return the next chunk, waiting for it, or None when there is none any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over() or self._ready_lane() is not None or self._has_ended())
            source = None if self._is_over() else self._ready_lane()
            if source is None:
                return None
            lane = self._lanes[source]
            num = min(len(lane.frames), lane.chunk, self._left or lane.chunk)
            frames = tuple(lane.frames.popleft() for _ in range(num))
            if self._left is not None:
                self._left -= num
            self._next = (source + 1) % len(self._lanes)
            chunk = Chunk(source, lane.num_tickets, frames, lane.num_given, lane.is_live)
            lane.num_tickets += 1
            lane.num_given += num
            self._changed.notify_all()
            return chunk

    def finish(self, source: int) -> None:
        """Say that a source has ended; what waits is still given out."""
        with self._changed:
            self._lanes[source].finished = True
            self._changed.notify_all()

    def close(self) -> None:
        """Forget what waits and wake everybody."""
        with self._changed:
            self._closed = True
            for lane in self._lanes:
                lane.frames.clear()
            self._changed.notify_all()

    def _fit_chunk(self, lane: _Lane, frame: Frame) -> None:
        at_once = max(1, min(CHUNK_FRAMES, CHUNK_BYTES // max(1, frame.frame_bgr.nbytes)))
        lane.chunk = self._multiple * max(1, at_once // self._multiple)
        lane.capacity = 2 * lane.chunk

    def _is_over(self) -> bool:
        return self._closed or self._left == 0

    def _has_ended(self) -> bool:
        return all(lane.finished and not lane.frames for lane in self._lanes)

    def _ready_lane(self) -> int | None:
        order = (*range(self._next, len(self._lanes)), *range(self._next))
        return next((i for i in order if self._lanes[i].frames and self._lanes[i].is_ready()), None)
