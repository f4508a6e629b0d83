"""VideoSource: read a video file."""

import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import VideoDecoder, reason_from_error, silence_ffmpeg
from fer_deploy.live.capture.stream_choice import NoVideo
from fer_deploy.live.file_names import file_address, file_and_stream, printable
from fer_deploy.live.sources.base import Source
from fer_deploy.live.sources.clock import RecordingClock
from fer_deploy.vision.types import Frame

TOLERATED_SHARE = 0.01
"""Share of missing frames that is not reported: containers often announce one or two frames too many."""


class VideoSource(Source):
    """A video file; yields every frame in order. Damaged frames are skipped and counted.

    A truncated file, as after a power cut, ends after its last frame without an error, so that its results can be used.
    `health.num_missing` and `last_error` report what is missing.
    """

    is_live = False

    def __init__(self, decoder: VideoDecoder, name: str) -> None:
        """Create a source from an opened decoder, which `close` closes; see `open_file`."""
        super().__init__()
        self._decoder = decoder
        self.name, self.fps, self.num_frames = name, decoder.fps, decoder.num_frames
        self.notes = decoder.notes
        self._shown_until_s = 0.0
        self._undamaged = self._in_time()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; `time_s` is the presentation time from `RecordingClock`.

        Raises:
            StreamError: no frame can be decoded.
        """
        for picture, index, time_s in self._undamaged:
            pixels = np.ascontiguousarray(self._decoder.bgr_from_picture(picture))
            yield Frame(pixels, index, time_s, time.monotonic_ns())

    def skip(self) -> bool:
        """Skip the next frame without converting it; it is counted like a yielded one.

        Returns:
            Whether there was a frame.

        Raises:
            StreamError: as `frames`.
        """
        return next(self._undamaged, None) is not None

    def _in_time(self) -> Iterator[tuple[VideoFrame, int, float]]:
        """Yield decoded frames, not yet converted, with their index and position."""
        index, clock = 0, RecordingClock()
        size: tuple[int, int] | None = None
        for picture in self._pictures():
            if self._stopped.is_set():
                return
            self.health.num_corrupt = self._decoder.num_corrupt
            if picture is None:
                continue
            now = self._decoder.size_of_picture(picture)
            if size not in {None, now}:
                self.health.num_size_changes += 1
            size = now
            if picture.time is not None:
                self._shown_until_s = max(self._shown_until_s, picture.time + 1 / self.fps)
            yield picture, index, clock.time_s(picture.time, self.fps)
            index += 1
        self._account(index)

    def _pictures(self) -> Iterator[VideoFrame | None]:
        try:
            yield from self._decoder.pictures()
        except (av.FFmpegError, OSError) as err:
            self.health.num_corrupt = self._decoder.num_corrupt
            self.health.last_error = f"{self.name} cannot be read further: {reason_from_error(err)}"

    def _account(self, num_frames: int) -> None:
        self.health.num_corrupt = self._decoder.num_corrupt
        if num_frames == 0:
            raise StreamError(f"{self.name} was opened but has no frame that can be decoded. Fix: check it in a player")
        num_missing = self.health.num_missing = self._num_missing(num_frames + self.health.num_corrupt)
        if num_missing > max(2.0, TOLERATED_SHARE * num_frames):
            self.health.last_error = f"{self.name} is truncated: {num_missing} frames fewer than it announces"

    def _num_missing(self, num_read: int) -> int:
        """Return how many frames are missing at the end, as after a power cut.

        Containers also count frames that an edit list hides or that a capture card dropped. So the number is at most
        that of the frames between the last one and the announced end.
        """
        decoder = self._decoder
        num = max(0, (decoder.num_announced or 0) - decoder.num_hidden - num_read)
        if decoder.end_s is None or not self._shown_until_s:
            return num
        return min(num, max(0, round((decoder.end_s - self._shown_until_s) * self.fps)))

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()


def open_file(path: Path) -> VideoSource:
    """Open a video file, with an optional #N for the stream; raises StreamError if FFmpeg cannot open it."""
    silence_ffmpeg()
    file, stream = file_and_stream(path)
    name = printable(path)
    try:
        return VideoSource(VideoDecoder(file_address(file), stream=stream), name)
    except (av.FFmpegError, OSError, NoVideo) as err:
        fix = err.fix if isinstance(err, NoVideo) else "check that a player shows it"
        raise StreamError(f"cannot open the file as a video {name}: {reason_from_error(err)}. Fix: {fix}") from err
