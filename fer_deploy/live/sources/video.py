"""VideoSource: a video file."""

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
"""Containers announce a frame or two that were never there; more are told as damage."""


class VideoSource(Source):
    """A video file, every frame in order. Damage is skipped and counted.

    A file that breaks off, as after a power cut, ends where its pictures end: what it holds was analyzed to the last
    frame, and an error would only keep scripts from using it. `health.num_missing` and `last_error` tell what was
    missing.
    """

    is_live = False

    def __init__(self, decoder: VideoDecoder, name: str) -> None:
        """Take an opened decoder, which is closed with the source; `open_file` makes it."""
        super().__init__()
        self._decoder = decoder
        self.name, self.fps, self.num_frames = name, decoder.fps, decoder.num_frames
        self.notes = decoder.notes
        self._shown_until_s = 0.0
        self._undamaged = self._in_time()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; `time_s` is the presentation time as `RecordingClock` has it.

        Raises:
            StreamError: not one frame can be decoded.
        """
        for picture, index, time_s in self._undamaged:
            pixels = np.ascontiguousarray(self._decoder.bgr_from_picture(picture))
            yield Frame(pixels, index, time_s, time.monotonic_ns())

    def skip(self) -> bool:
        """Let the frame go that `frames` would yield next, and spare its conversion; everything else counts the same.

        Returns:
            Whether there was one.

        Raises:
            StreamError: as `frames`.
        """
        return next(self._undamaged, None) is not None

    def _in_time(self) -> Iterator[tuple[VideoFrame, int, float]]:
        """Yield pictures, not yet converted, with the index and position of their frames."""
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
            self.health.last_error = f"{self.name} cannot be read on: {reason_from_error(err)}"

    def _account(self, num_frames: int) -> None:
        self.health.num_corrupt = self._decoder.num_corrupt
        if num_frames == 0:
            raise StreamError(
                f"{self.name} was opened but holds no frame that can be decoded. Fix: check it in a player"
            )
        num_missing = self.health.num_missing = self._num_missing(num_frames + self.health.num_corrupt)
        if num_missing > max(2.0, TOLERATED_SHARE * num_frames):
            self.health.last_error = f"{self.name} breaks off: {num_missing} frames fewer than it announces"

    def _num_missing(self, num_read: int) -> int:
        """Return how many frames are missing at the end, as after a power cut.

        Others are not: containers count frames that an edit list hides, and frames that a capture card dropped. As many
        are missing as there is room for between the last frame and the announced end.
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
    """Open a video file, whose name may have the number of a stream behind it; StreamError where FFmpeg cannot."""
    silence_ffmpeg()
    file, stream = file_and_stream(path)
    name = printable(path)
    try:
        return VideoSource(VideoDecoder(file_address(file), stream=stream), name)
    except (av.FFmpegError, OSError, NoVideo) as err:
        fix = err.fix if isinstance(err, NoVideo) else "check that a player shows it"
        raise StreamError(f"cannot open the file as a video {name}: {reason_from_error(err)}. Fix: {fix}") from err
