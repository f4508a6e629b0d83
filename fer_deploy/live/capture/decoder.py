"""VideoDecoder: FFmpeg through PyAV, for files, streams and pipes. Knows neither threads nor processes."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

ASSUMED_FPS: Final = 30.0
_ALPHA_LAST: Final = frozenset({"bgra", "bgr0"})
_PLAYLISTS: Final = frozenset({"hls", "dash"})
"""The size of these is the playlist's; one that has an end has a duration."""
_CAMERAS: Final = frozenset({"mpjpeg", "mjpeg"})
"""JPEG after JPEG: no duration, and cameras announce sizes that they make up, for clients that insist on one."""
MAX_BAD_READS: Final = 64
"""So many packets in a row that cannot even be read are a broken source, not a scratch in it."""


MAX_STRICT_FAILURES: Final = 10
"""So many JPEGs in a row that are not quite right, and none that was, are how this camera writes them."""


class NoVideo(ValueError):
    """What was opened holds no video."""


class VideoDecoder:
    """An opened video. Pictures that are damaged are skipped and counted, as far as the codec can tell.

    FFmpeg shows a broken JPEG with a gray rest and says nothing; it is told to be strict, unless nothing passes then.

    One thread decodes: frame threads delay a live picture by several frames, and on small machines they take cores from
    the analysis. Measured against `cv2.VideoCapture`: the same pixels, the same speed.

    Attributes:
        fps: as announced, or `ASSUMED_FPS` where that is absurd.
        num_announced: frames that the container says it holds; None where it does not say.
        num_frames: the same, or estimated from the duration; None where that is not known either.
        is_endless: nobody knows its duration, and its size says nothing of it either.
        is_playlist: its pictures come in bursts, a file of some seconds at once.
        num_corrupt: packets and pictures that were skipped.
    """

    def __init__(
        self, source: str | BinaryIO, *, container_format: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        """Open a file, a URL, or an object with `read`; blocks as long as these do.

        Args:
            source: what to open.
            container_format: FFmpeg's name of it; None: found out.
            options: FFmpeg's options for the demuxer and its protocol.

        Raises:
            av.FFmpegError, OSError: FFmpeg cannot open it.
            NoVideo: it holds none.
        """
        self._container: InputContainer = av.open(
            source, "r", format=container_format, options=dict(options or {}), metadata_errors="replace"
        )
        videos = self._container.streams.video
        if not videos:
            self._container.close()
            raise NoVideo("it holds no video")
        self._stream: VideoStream = videos[0]
        self._codec: VideoCodecContext = self._stream.codec_context
        self._codec.thread_count = 1
        self._is_strict = self._codec.name == "mjpeg"
        if self._is_strict:
            self._codec.options = {"err_detect": "explode"}
        self._reformatter = VideoReformatter()
        self.num_corrupt = 0
        self.fps = _plausible_fps(self._stream)
        duration_s = (self._container.duration or 0) / 1_000_000
        self.num_announced = self._stream.frames or None
        self.num_frames = self.num_announced or round(duration_s * self.fps) or None
        names = set(self._container.format.name.split(","))
        self.is_playlist = not names.isdisjoint(_PLAYLISTS)
        is_sizeless = self._container.size <= 0 or self.is_playlist or not names.isdisjoint(_CAMERAS)
        self.is_endless = duration_s <= 0 and is_sizeless

    def pictures(self) -> Iterator[VideoFrame | None]:
        """Yield decoded pictures, not yet converted, until the end; None for something damaged that was skipped.

        Raises:
            av.FFmpegError, OSError: the source broke.
        """
        num_failures = 0
        for packet in self._packets():
            try:
                decoded = self._codec.decode(packet)
            except av.FFmpegError:
                num_failures += 1
                self.num_corrupt += 1
                if self._is_strict and num_failures == self.num_corrupt == MAX_STRICT_FAILURES:
                    self._codec = VideoCodecContext.create("mjpeg", "r")
                yield None
                continue
            for picture in decoded:
                num_failures = 0
                self.num_corrupt += picture.is_corrupt
                yield None if picture.is_corrupt else picture

    def _packets(self) -> "Iterator[av.Packet[VideoStream]]":
        num_bad = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    num_bad = 0
                    yield packet
            except av.error.InvalidDataError:
                num_bad += 1
                self.num_corrupt += 1
                if num_bad > MAX_BAD_READS:
                    raise
            else:
                return

    def bgr_from_picture(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8, upright as its file says; perhaps with gaps between the rows, and nobody else's."""
        if picture.format.name in _ALPHA_LAST:  # GIF; the same pixels as from swscale, for less time
            pixels = np.asarray(cv2.cvtColor(_pixels_of_plane(picture, 4), cv2.COLOR_BGRA2BGR), dtype=np.uint8)
        else:
            pixels = _pixels_of_plane(self._reformatter.reformat(picture, format="bgr24", threads=1), 3)
        quarter_turns = _quarter_turns(picture)
        return np.rot90(pixels, quarter_turns) if quarter_turns else pixels

    @staticmethod
    def size_of_picture(picture: VideoFrame) -> tuple[int, int]:
        """Return the width and height that `bgr_from_picture` would give, without converting the picture."""
        is_on_its_side = _quarter_turns(picture) % 2
        return (picture.height, picture.width) if is_on_its_side else (picture.width, picture.height)

    def close(self) -> None:
        """Release the source."""
        self._container.close()


def _quarter_turns(picture: VideoFrame) -> int:
    return round(picture.rotation / 90) % 4


def _pixels_of_plane(picture: VideoFrame, num_channels: int) -> NDArray[np.uint8]:
    """Return (H, W, C) uint8, a view that keeps FFmpeg's memory alive."""
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : num_channels * plane.width].reshape(plane.height, plane.width, num_channels)


def _plausible_fps(stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 1 <= rate <= 240:
            return float(rate)
    return ASSUMED_FPS


def silence_ffmpeg() -> None:
    """Keep FFmpeg from writing to our stderr about every scratch; what it says of failures comes with its errors."""
    av.logging.set_libav_level(av.logging.PANIC)


def reason_from_error(err: Exception) -> str:
    """Return why FFmpeg failed, in its own words where it logged some; they may quote the address."""
    if not isinstance(err, av.FFmpegError):
        return str(err) or type(err).__name__
    error = err.strerror or type(err).__name__
    logged = cast("tuple[int, str, str] | None", err.log)  # (level, logger, message), whatever the stub says
    words = logged[2].strip() if logged is not None else ""
    return words if error in words else f"{error}: {words}" if words else error
