"""Recording: one video whose frames are handed out segment by segment."""

from collections.abc import Callable, Iterator

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import PictureSource, Source, VideoSource
from fer_deploy.vision.types import Frame


class Recording:
    """Reads a video frame by frame and counts what comes. Used by one thread at a time.

    Nothing is ever sought by time: to go on at frame n, n frames are decoded and let go. That takes a while in a long
    video, and is exact in every format.
    """

    def __init__(self, source: VideoSource | PictureSource) -> None:
        """Take an opened video or picture file, which is closed with the recording."""
        self.source = source
        self._frames = source.frames()
        self._ahead: Frame | None = None
        self.num_taken = 0

    @property
    def num_skipped(self) -> int:
        """Corrupt pictures and packets that the source left out so far."""
        return self.source.health.num_corrupt

    def peek(self) -> Frame | None:
        """Return the next frame without taking it; None at the end.

        Raises:
            StreamError: there is not one frame that can be decoded.
        """
        if self._ahead is None:
            self._ahead = next(self._frames, None)
        return self._ahead

    def take(self) -> Frame | None:
        """Return the next frame; None at the end."""
        frame, self._ahead = self.peek(), None
        if frame is not None:
            self.num_taken += 1
        return frame

    def skip(self, num: int, *, on_skip: Callable[[int], bool]) -> bool:
        """Take frames that were analyzed before.

        Args:
            num: how many.
            on_skip: called with the number of each; returns False to give up.

        Returns:
            Whether all were skipped.

        Raises:
            StreamError: the video is shorter now.
        """
        for index in range(num):
            if not on_skip(index):
                return False
            if not self._skip_one():
                raise StreamError(
                    f"{self.source.name} ends at frame {index}, where {num} could be decoded before. "
                    "Fix: check the disk that holds it, or --restart"
                )
        return True

    def _skip_one(self) -> bool:
        if self._ahead is not None:
            return self.take() is not None
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
        """Yield the frames; `is_whole` says afterwards whether all of them were handed over."""
        for _ in range(self.num_frames or 0):
            if self._stopped.is_set():
                return
            frame = self._recording.take()
            if frame is None:
                break
            yield frame
        self.is_whole = True
