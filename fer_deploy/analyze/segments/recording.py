"""Recording: read one video segment by segment."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from fer_deploy.analyze.segments.selection import ALL_FRAMES, Selection
from fer_deploy.errors import StreamError
from fer_deploy.live.seeking.opening import OpenedAt, open_at
from fer_deploy.live.seeking.packet_index import PacketIndex
from fer_deploy.live.seeking.position import PROOF_FRAMES, Position, digest_of
from fer_deploy.live.sources import PictureSource, Source, VideoSource
from fer_deploy.live.sources.video import Unconverted
from fer_deploy.vision.types import Frame


class Reached(NamedTuple):
    """State of a recording between two frames, however its reader got there.

    Attributes:
        num_taken: frames before.
        num_corrupt: corrupt frames and packets that the source has skipped before.
        num_size_changes: changes of resolution before.
        position: of the next frame; None at the end, and for a picture.
        is_end: whether there is no further frame, or none in the range that is analyzed.
        num_missing: frames that the file announces and does not contain; known at the end of the file.
        trouble: fault at the end; empty if there is none.
        last_s: time of the last frame before.
        is_cut: whether the range ends here, and not the file.
    """

    num_taken: int
    num_corrupt: int
    num_size_changes: int
    position: Position | None
    is_end: bool
    num_missing: int = 0
    trouble: str = ""
    last_s: float = 0.0
    is_cut: bool = False


class _Waiting:
    """A frame that was read and not consumed; it is converted once, when its pixels are needed."""

    def __init__(self, read: Unconverted) -> None:
        self.time_s, self.before, self._convert = read.time_s, read.before, read.convert

    @cached_property
    def frame(self) -> Frame:
        return self._convert()


class Recording:
    """Reads and counts the frames of a video. Used by one thread at a time.

    Attributes:
        source: the opened file.
        selection: which frames are analyzed; those after its range are not read.
        num_taken: frames before the next one, analyzed or not.
        last_s: time of the frame before the next one; None before the first.
        num_left_out: frames between samples, since it was opened.
    """

    def __init__(self, source: VideoSource | PictureSource, selection: Selection = ALL_FRAMES) -> None:
        """Create a recording from an opened video or picture file, which `close` closes."""
        self.source, self.selection = source, selection
        self._frames = _frames_of(source)
        self._ahead: deque[_Waiting] = deque()
        self.num_taken = 0
        self.last_s: float | None = None
        self.num_left_out = 0

    @classmethod
    def at(cls, opened: OpenedAt, position: Position, selection: Selection = ALL_FRAMES) -> "Recording":
        """Return a recording that continues with the frame of a position."""
        recording = cls(opened.source, selection)
        recording._continue_at(position)
        return recording

    def _continue_at(self, position: Position) -> None:
        self.num_taken = position.index
        self.last_s = position.clock.position_s if position.index else None

    @property
    def num_skipped(self) -> int:
        """Corrupt frames and packets that the source has skipped so far."""
        return self.source.health.num_corrupt

    def peek(self) -> Frame | None:
        """Return the next frame without consuming it; None at the end.

        Raises:
            StreamError: no frame can be decoded.
        """
        return self._ahead[0].frame if self.has_next() else None

    def has_next(self) -> bool:
        """Return whether there is a next frame, and the range does not end before it. Raises as `peek`."""
        return self._look_ahead(1) and not self.selection.is_after(self._ahead[0].time_s)

    def next_s(self) -> float | None:
        """Return the time of the next frame, without converting it; None at the end. Raises as `peek`."""
        return self._ahead[0].time_s if self.has_next() else None

    def next_is_kept(self) -> bool:
        """Return whether the next frame, which must be there, is analyzed."""
        return self.selection.keeps(self._ahead[0].time_s, self.last_s)

    def _look_ahead(self, num: int) -> bool:
        """Read until so many frames are waiting; return whether there are so many."""
        while len(self._ahead) < num:
            read = next(self._frames, None)
            if read is None:
                return False
            self._ahead.append(_Waiting(read))
        return True

    def reached(self) -> Reached:
        """Return the state before the next frame. At the end of the file the source knows what is missing."""
        is_there, health, last_s = self._look_ahead(1), self.source.health, self.last_s or 0.0
        if not is_there:
            counts = (health.num_corrupt, health.num_size_changes)
            return Reached(self.num_taken, *counts, None, True, health.num_missing, health.last_error, last_s)
        before, is_cut = self._ahead[0].before, not self.has_next()
        if before is None or is_cut:
            known = health if before is None else before
            counts = (known.num_corrupt, known.num_size_changes)
            return Reached(self.num_taken, *counts, None, is_cut, last_s=last_s, is_cut=is_cut)
        self._look_ahead(PROOF_FRAMES)
        seen = [waiting.frame.frame_bgr for waiting in list(self._ahead)[:PROOF_FRAMES]]
        position = before.model_copy(update={"digest": digest_of(seen)})
        return Reached(self.num_taken, position.num_corrupt, position.num_size_changes, position, False, last_s=last_s)

    def next_frame(self) -> Frame | None:
        """Consume and return the next frame; None at the end."""
        frame = self.peek()
        if frame is not None:
            self._consume()
        return frame

    def _consume(self) -> None:
        self.num_taken += 1
        self.last_s = self._ahead.popleft().time_s

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
        self.source, self._frames = opened.source, _frames_of(opened.source)
        self._ahead.clear()
        self._continue_at(position)
        return True

    def skip_one(self) -> bool:
        """Decode and discard the next frame; return whether there was one."""
        if not self.has_next():
            return False
        self._consume()
        return True

    def segment(self, num_frames: int) -> "SegmentSource":
        """Return those of the next `num_frames` frames that are analyzed, as a source for one run of the live loop."""
        return SegmentSource(self, num_frames)

    def close(self) -> None:
        """Close the source."""
        self.source.stop()
        self.source.close()


def _frames_of(source: VideoSource | PictureSource) -> Iterator[Unconverted]:
    if isinstance(source, VideoSource):
        yield from source.unconverted()
        return
    for frame in source.frames():
        yield Unconverted(frame.time_s, None, lambda frame=frame: frame)  # type: ignore[misc]


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
        """Yield the frames that are analyzed; afterwards `is_whole` says whether all were delivered."""
        for _ in range(self.num_frames or 0):
            if self._stopped.is_set():
                return
            if not self._recording.has_next():
                break
            if self._recording.next_is_kept():
                frame = self._recording.next_frame()
                assert frame is not None
                yield frame
            else:
                self._recording.skip_one()
                self._recording.num_left_out += 1
        self.is_whole = True
