"""Intake: the queue between sources and workers, with one lane a source. Recordings wait, live lanes drop frames."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fer_deploy.errors import ConfigError
from fer_deploy.vision.types import Frame

CHUNK_BYTES = 16 * 2**20
"""Limit of a recording's chunk: chunks need fewer synchronizations and give the engine larger batches."""
CHUNK_FRAMES: Final = 4
HELD_BYTES = 2**31
"""Limit of the frames of all recordings together that wait or are being analyzed, for any number of workers."""


class Chunk(NamedTuple):
    """Consecutive frames of one source, for one worker.

    Attributes:
        source: number of the source, from 0.
        ticket: number of the chunk within its source, from 0.
        frames: at least one.
        num_before: frames in earlier chunks of its source.
        is_live: whether its source is live.
        is_resized: whether the size of its frames differs from the previous chunk's.
    """

    source: int
    ticket: int
    frames: tuple[Frame, ...]
    num_before: int
    is_live: bool
    is_resized: bool = False

    @property
    def num_bytes(self) -> int:
        """Size of its frames."""
        return sum(frame.frame_bgr.nbytes for frame in self.frames)


@dataclass
class _Lane:
    """Waiting frames of one source: complete chunks, then the growing one. All frames of a chunk have one size."""

    is_live: bool
    multiple: int
    most_bytes: int
    whole: deque[list[Frame]] = field(default_factory=deque)
    growing: list[Frame] = field(default_factory=list)
    finished: bool = False
    num_waiting: int = 0
    num_tickets: int = 0
    num_given: int = 0
    num_dropped: int = 0
    chunk: int = 1
    capacity: int = 1
    taken_shape: tuple[int, ...] | None = None

    def fit(self, frame: Frame) -> None:
        """Set the chunk size for a frame. A frame of another size begins a new chunk.

        Raises:
            ConfigError: a chunk of such frames would be too large.
        """
        size = frame.frame_bgr.nbytes
        at_once = max(1, min(CHUNK_FRAMES, CHUNK_BYTES // max(1, size)))
        self.chunk = self.multiple * max(1, at_once // self.multiple)
        if self.chunk > 1 and self.chunk * size > self.most_bytes:
            width, height = frame.size
            raise ConfigError(
                f"detect_every is {self.multiple}, and that many frames of {width}x{height} take "
                f"{self.chunk * size / 2**30:.1f} GiB, expected {self.most_bytes / 2**30:.2g} at most: all frames of a "
                "recording between two runs of the detector are held at once. "
                f"Fix: --detect-every {max(1, self.most_bytes // size)}, or less"
            )
        self.capacity = self.chunk + at_once
        if self.growing and self.growing[0].frame_bgr.shape != frame.frame_bgr.shape:
            self.complete()

    def add(self, frame: Frame) -> None:
        self.growing.append(frame)
        self.num_waiting += 1
        if self.is_live or len(self.growing) >= self.chunk:
            self.complete()

    def complete(self) -> None:
        """Complete the growing chunk."""
        if self.growing:
            self.whole.append(self.growing)
            self.growing = []

    def pop(self, source: int, most: int | None) -> Chunk:
        """Pop the next chunk, cut to its first `most` frames."""
        frames = self.whole.popleft()
        shape = frames[0].frame_bgr.shape
        is_resized = self.taken_shape not in (None, shape)
        chunk = Chunk(source, self.num_tickets, tuple(frames[:most]), self.num_given, self.is_live, is_resized)
        self.taken_shape = shape
        self.num_waiting -= len(frames)
        self.num_given += len(chunk.frames)
        self.num_tickets += 1
        return chunk

    def clear(self) -> None:
        self.whole.clear()
        self.growing, self.num_waiting = [], 0


class Intake:
    """Joins the capture threads to the workers.

    A live lane holds only the newest frame and counts the dropped ones. A recording's lane blocks its capture thread
    when full, and groups frames into chunks that depend only on the sizes of the frames. Lanes are served in turn. All
    recordings together hold at most `HELD_BYTES` of frames, including those that workers have not given back.
    """

    def __init__(self, are_live: Sequence[bool], *, max_frames: int | None = None, multiple: int = 1) -> None:
        """Create a lane for each source.

        Args:
            are_live: for each source, whether it is live.
            max_frames: deliver at most this many frames, over all lanes.
            multiple: a recording's chunk has a multiple of this many frames, except the last one and the last before
                a change of size.
        """
        # A chunk may grow in each lane while a worker holds another: so one is complete before memory is full.
        most_bytes = HELD_BYTES // (len(are_live) + 1)
        self._lanes = [_Lane(is_live, multiple, most_bytes) for is_live in are_live]
        self._held_bytes = self._num_taken = 0
        self._left = max_frames
        self._next = 0
        self._changed = threading.Condition()
        self._closed = False

    def num_dropped(self, source: int) -> int:
        """Return how many frames of a source were dropped for newer ones."""
        return self._lanes[source].num_dropped

    def set_live(self, source: int, is_live: bool) -> None:
        """Set whether a source is live once this is known; call it before its first frame."""
        with self._changed:
            self._lanes[source].is_live = is_live

    def put(self, source: int, frame: Frame) -> bool:
        """Add a frame; wait or drop older ones, depending on the lane. Return False once the run is over.

        Raises:
            ConfigError: a chunk of frames of this size would be too large.
        """
        lane = self._lanes[source]
        with self._changed:
            if lane.is_live:
                lane.num_dropped += lane.num_waiting
                lane.clear()
            else:
                lane.fit(frame)
                self._changed.notify_all()  # it may have completed a chunk
                self._changed.wait_for(lambda: self._is_over() or self._has_room(lane, frame.frame_bgr.nbytes))
            if self._is_over():
                return False
            lane.add(frame)
            self._held_bytes += 0 if lane.is_live else frame.frame_bgr.nbytes
            if lane.whole:
                self._changed.notify_all()
            return True

    def next_chunk(self) -> Chunk | None:
        """Wait for the next chunk and return it, or None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over() or self._ready_lane() is not None or self._has_ended())
            source = None if self._is_over() else self._ready_lane()
            if source is None:
                return None
            chunk = self._lanes[source].pop(source, self._left)
            if self._left is not None:
                self._left -= len(chunk.frames)
            self._next = (source + 1) % len(self._lanes)
            self._num_taken += 1
            self._changed.notify_all()
            return chunk

    def give_back(self, chunk: Chunk) -> None:
        """Release the memory of a chunk; call it once for each chunk from `next_chunk`."""
        with self._changed:
            self._num_taken -= 1
            self._held_bytes -= 0 if chunk.is_live else chunk.num_bytes
            self._changed.notify_all()

    def finish(self, source: int) -> None:
        """Mark a source as ended; its waiting frames are still delivered."""
        with self._changed:
            self._lanes[source].finished = True
            self._lanes[source].complete()
            self._changed.notify_all()

    def close(self) -> None:
        """Discard waiting frames and wake all waiting threads."""
        with self._changed:
            self._closed = True
            for lane in self._lanes:
                lane.clear()
            self._changed.notify_all()

    def _has_room(self, lane: _Lane, num_bytes: int) -> bool:
        """Return whether a recording's frame fits; it always does while no chunk is ready or held by a worker."""
        if lane.num_waiting >= lane.capacity:
            return False
        is_idle = not self._num_taken and self._ready_lane() is None
        return is_idle or self._held_bytes + num_bytes <= HELD_BYTES

    def _is_over(self) -> bool:
        return self._closed or self._left == 0

    def _has_ended(self) -> bool:
        return all(lane.finished and not lane.num_waiting for lane in self._lanes)

    def _ready_lane(self) -> int | None:
        order = (*range(self._next, len(self._lanes)), *range(self._next))
        return next((i for i in order if self._lanes[i].whole), None)
