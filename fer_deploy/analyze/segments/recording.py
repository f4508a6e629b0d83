"""Recording: read one video segment by segment."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fer_deploy.errors import StreamError
from fer_deploy.live.seeking.opening import OpenedAt, open_at
from fer_deploy.live.seeking.packet_index import PacketIndex
from fer_deploy.live.seeking.position import PROOF_FRAMES, Position, digest_of
from fer_deploy.live.sources import PictureSource, Source, VideoSource
from fer_deploy.vision.types import Frame


class Reached(NamedTuple):
    """State of a recording between two frames, however its reader got there.

    Attributes:
        num_taken: frames before.
        num_corrupt: corrupt frames and packets that the source has skipped before.
        num_size_changes: changes of resolution before.
        position: of the next frame; None at the end, and for a picture.
        is_end: whether there is no further frame.
        num_missing: frames that the file announces and does not contain; known at the end.
        trouble: fault at the end; empty if there is none.
    """

    num_taken: int
    num_corrupt: int
    num_size_changes: int
    position: Position | None
    is_end: bool
    num_missing: int = 0
    trouble: str = ""


class Recording:
    """Reads and counts the frames of a video. Used by one thread at a time."""

    def __init__(self, source: VideoSource | PictureSource) -> None:
        """Create a recording from an opened video or picture file, which `close` closes."""
        self.source = source
        self._frames = source.frames()
        self._ahead: deque[tuple[Frame, Position | None]] = deque()
        self.num_taken = 0

    @classmethod
    def at(cls, opened: OpenedAt, position: Position) -> "Recording":
        """Return a recording that continues with the frame of a position."""
        recording = cls(opened.source)
        recording.num_taken = position.index
        return recording

    @property
    def num_skipped(self) -> int:
        """Corrupt frames and packets that the source has skipped so far."""
        return self.source.health.num_corrupt

    def peek(self) -> Frame | None:
        """Return the next frame without consuming it; None at the end.

        Raises:
            StreamError: no frame can be decoded.
        """
        return self._ahead[0][0] if self._look_ahead(1) else None

    def _look_ahead(self, num: int) -> bool:
        """Read until so many frames are waiting; return whether there are so many."""
        while len(self._ahead) < num:
            frame = next(self._frames, None)
            if frame is None:
                return False
            self._ahead.append((frame, getattr(self.source, "before", None)))
        return True

    def reached(self) -> Reached:
        """Return the state before the next frame. At the end the source knows what is missing."""
        frame, health = self.peek(), self.source.health
        if frame is None:
            counts = (health.num_corrupt, health.num_size_changes)
            return Reached(self.num_taken, *counts, None, True, health.num_missing, health.last_error)
        before = self._ahead[0][1]
        if before is None:
            return Reached(self.num_taken, health.num_corrupt, health.num_size_changes, None, False)
        self._look_ahead(PROOF_FRAMES)
        seen = [frame.frame_bgr for frame, _ in list(self._ahead)[:PROOF_FRAMES]]
        position = before.model_copy(update={"digest": digest_of(seen)})
        return Reached(self.num_taken, position.num_corrupt, position.num_size_changes, position, False)

    def next_frame(self) -> Frame | None:
        """Consume and return the next frame; None at the end."""
        if self.peek() is None:
            return None
        self.num_taken += 1
        return self._ahead.popleft()[0]

    def skip(self, num: int, *, on_skip: Callable[[int], bool]) -> bool:
        """Decode and discard frames that an earlier run analyzed.

        Args:
            num: number of frames.
            on_skip: called with the index of each; returns False to stop.

        Returns:
            Whether all were skipped.

        Raises:
            StreamError: the video is shorter than before.
        """
        for index in range(num):
            if not on_skip(index):
                return False
            if not self.skip_one():
                raise StreamError(
                    f"{self.source.name} ends at frame {index}, but {num} frames could be decoded before. "
                    "Fix: check the disk that holds it, or --restart"
                )
        return True

    def skip_to(
        self, position: Position, index: Callable[[], PacketIndex | None], *, on_skip: Callable[[int], bool]
    ) -> bool:
        """Continue at a position where an earlier run was, by seeking where the format allows it; see `open_at`.

        Args:
            position: proven.
            index: returns the index of the file's packets.
            on_skip: called with the index of each frame that is decoded and discarded; returns False to stop.

        Returns:
            Whether the position was reached.

        Raises:
            StreamError: the position does not exist any more.
        """
        assert isinstance(self.source, VideoSource)
        if position.index == self.num_taken:
            return True
        opened = open_at(self.source.path, position, index(), on_skip=on_skip)
        if opened is None:
            return False
        self.close()
        self.source, self._frames = opened.source, opened.source.frames()
        self._ahead.clear()
        self.num_taken = position.index
        return True

    def skip_one(self) -> bool:
        """Decode and discard the next frame; return whether there was one."""
        if self._ahead:
            return self.next_frame() is not None
        was_there = self.source.skip()
        self.num_taken += was_there
        return was_there

    def segment(self, num_frames: int) -> "SegmentSource":
        """Return the next frames, at most `num_frames`, as a source for one run of the live loop."""
        return SegmentSource(self, num_frames)

    def close(self) -> None:
        """Close the source."""
        self.source.stop()
        self.source.close()


class SegmentSource(Source):
    """The next frames of a recording; closing it leaves the recording open."""

    is_live = False

    def __init__(self, recording: Recording, num_frames: int) -> None:
        """See `Recording.segment`."""
        super().__init__()
        self._recording = recording
        self.name, self.fps = recording.source.name, recording.source.fps
        self.num_frames = num_frames
        self.is_whole = False

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; afterwards `is_whole` says whether all were delivered."""
        for _ in range(self.num_frames or 0):
            if self._stopped.is_set():
                return
            frame = self._recording.next_frame()
            if frame is None:
                break
            yield frame
        self.is_whole = True
