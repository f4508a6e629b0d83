"""StreamReader: read a URL with FFmpeg."""

import time

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from fer_deploy.live.capture.decoder import VideoDecoder, reason_from_error
from fer_deploy.live.capture.protocol import Request
from fer_deploy.live.capture.reader import ReadFailure
from fer_deploy.live.capture.stream_choice import NoVideo

LATE_S, AHEAD_S = 1.0, 60.0
"""A frame later or earlier than this by the schedule starts a new schedule."""


class Pace:
    """Schedule for frames that come in bursts. Without it most of a burst is dropped, and the pause is a stall."""

    def __init__(self) -> None:
        self._started_s: float | None = None

    def wait_s(self, time_s: float, now_s: float) -> float:
        """Return how long to wait before a frame of this presentation time."""
        ahead_s = 0.0 if self._started_s is None else self._started_s + time_s - now_s
        if self._started_s is None or not -LATE_S <= ahead_s <= AHEAD_S:
            self._started_s, ahead_s = now_s - time_s, 0.0
        return max(0.0, ahead_s)


class StreamReader:
    """Implements `Reader`."""

    def __init__(self, request: Request) -> None:
        """Connect; raises ReadFailure with the reason if that fails."""
        try:
            self._decoder = VideoDecoder(request.address, options=request.options, stream=request.stream)
        except (av.FFmpegError, OSError, NoVideo) as err:
            raise ReadFailure(reason_from_error(err)) from err
        self._pictures = self._decoder.pictures()
        self._picture: VideoFrame | None = None
        self.fps, self.num_frames = self._decoder.fps, self._decoder.num_frames
        self.is_endless, self.notes = self._decoder.is_endless, self._decoder.notes
        self._pace = Pace() if self._decoder.is_playlist and self.is_endless else None

    @property
    def num_corrupt(self) -> int:
        """Number of damaged packets and frames so far."""
        return self._decoder.num_corrupt

    def grab(self) -> bool:
        """Decode the next frame."""
        try:
            self._picture = next(self._pictures)
        except StopIteration:
            return False
        except (av.FFmpegError, OSError) as err:
            raise ReadFailure(reason_from_error(err)) from err
        if self._pace is not None and self._picture is not None and self._picture.time is not None:
            time.sleep(self._pace.wait_s(self._picture.time, time.monotonic()))  # may block: a stop kills the process
        return True

    def retrieve(self) -> NDArray[np.uint8] | None:
        """Convert the frame."""
        return None if self._picture is None else self._decoder.bgr_from_picture(self._picture)

    def position_s(self) -> float | None:
        """Return its presentation time."""
        return None if self._picture is None else self._picture.time


def open_reader(request: Request) -> StreamReader:
    """Connect to a URL."""
    av.logging.set_level(av.logging.ERROR)  # so that FFmpeg's exceptions carry its log messages
    return StreamReader(request)
