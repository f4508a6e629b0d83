"""Recording: read one video segment by segment."""

from collections.abc import Callable, Iterator

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import PictureSource, Source, VideoSource
from fer_deploy.vision.types import Frame


class Recording:
    """Reads and counts the frames of a video. Used by one thread at a time.

    It never seeks by time: to continue at frame n, it decodes and discards n frames. This is slow in a long video, but
    exact in every format.
    """

    def __init__(self, source: VideoSource | PictureSource) -> None:
        """Create a recording from an opened video or picture file, which `close` closes."""
        self.source = source
        self._frames = source.frames()
        self._ahead: Frame | None = None
        self.num_taken = 0

    @property
    def num_skipped(self) -> int:
        """Corrupt frames and packets that the source has skipped so far."""
        return self.source.health.num_corrupt

    def peek(self) -> Frame | None:
        """Return the next frame without consuming it; None at the end.

        Raises:
            StreamError: no frame can be decoded.
        """
        if self._ahead is None:
            self._ahead = next(self._frames, None)
        return self._ahead

    def next_frame(self) -> Frame | None:
        """Consume and return the next frame; None at the end."""
        frame, self._ahead = self.peek(), None
        if frame is not None:
            self.num_taken += 1
        return frame

    def skip(self, num: int, *, on_skip: Callable[[int], bool]) -> bool:
        """Skip frames that an earlier run analyzed.

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
            if not self._skip_one():
                raise StreamError(
                    f"{self.source.name} ends at frame {index}, but {num} frames could be decoded before. "
                    "Fix: check the disk that holds it, or --restart"
                )
        return True

    def _skip_one(self) -> bool:
        if self._ahead is not None:
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
