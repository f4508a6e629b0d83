"""VideoDecoder: FFmpeg through PyAV, for files, streams and pipes. Knows neither threads nor processes."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import BinaryIO, Final, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fer_deploy.live.capture.dynamic_range import BT2020, HDR_NAMES, tone_mapped
from fer_deploy.live.capture.orientation import Orientation
from fer_deploy.live.capture.stream_choice import NoVideo, choose_stream, say_choice
from fer_deploy.live.capture.timestamps import Timestamps
from fer_deploy.vision.transparency import opaque_bgr

ASSUMED_FPS: Final = 30.0
_ALPHA_LAST: Final = frozenset({"bgra", "bgr0"})
NARROWEST, WIDEST = Fraction(1, 8), Fraction(8)
"""Shapes of pixels beyond these are mistakes in the file."""
NEARLY_SQUARE: Final = 0.01
"""A difference that nobody sees, and that would cost a scaled copy of every frame."""
_PLAYLISTS: Final = frozenset({"hls", "dash"})
"""The size of these is the playlist's; one that has an end has a duration."""
_NO_TIMES: Final = 0x80
"""FFmpeg's mark of formats without timestamps (AVFMT_NOTIMESTAMPS)."""
_CAMERAS: Final = frozenset({"mpjpeg", "mjpeg"})
"""JPEG after JPEG: no duration, and cameras announce sizes that they make up, for clients that insist on one."""
MAX_BAD_READS: Final = 64
"""So many packets in a row that cannot even be read are a broken source, not a scratch in it."""
MAX_STRICT_FAILURES: Final = 10
"""So many JPEGs in a row that are not quite right, and none that was, are how this camera writes them."""


class VideoDecoder:
    """An opened video. Pictures that are damaged are skipped and counted, as far as the codec can tell.

    This class decides what a recording shows: which of its streams, when, which way up, how wide, and how bright.
    Files, streams and pipes are all read through it.

    FFmpeg shows a broken JPEG with a gray rest and says nothing; it is told to be strict, unless nothing passes then.

    One thread decodes: frame threads delay a live picture by several frames, and on small machines they take cores from
    the analysis. Measured against `cv2.VideoCapture`: the same pixels, the same speed.

    Attributes:
        fps: as announced, or `ASSUMED_FPS` where that is absurd.
        num_announced: frames that the container says it holds; None where it does not say.
        num_frames: the same, or estimated from the duration; None where that is not known either.
        end_s: when the stream ends as the container says, on the clock of the pictures' times; None where it does not.
        is_endless: nobody knows its duration, and its size says nothing of it either.
        is_playlist: its pictures come in bursts, a file of some seconds at once.
        num_corrupt: packets and pictures that were skipped.
        num_hidden: packets whose pictures are not shown, since an edit list leaves them out.
        notes: what people should know of the way it is read, in sentences.
    """

    def __init__(
        self,
        source: str | BinaryIO,
        *,
        container_format: str | None = None,
        options: Mapping[str, str] | None = None,
        stream: int | None = None,
    ) -> None:
        """Open a file, a URL, or an object with `read`; blocks as long as these do.

        Args:
            source: what to open; a file by `file_address`.
            container_format: FFmpeg's name of it; None: found out.
            options: FFmpeg's options for the demuxer and its protocol.
            stream: number of the stream as ffprobe counts; None: see `choose_stream`.

        Raises:
            av.FFmpegError, OSError: FFmpeg cannot open it.
            NoVideo: it holds none.
        """
        self._container: InputContainer = av.open(
            source, "r", format=container_format, options=dict(options or {}), metadata_errors="replace"
        )
        try:
            self._stream: VideoStream = choose_stream(self._container, stream)
        except NoVideo:
            self._container.close()
            raise
        self._codec: VideoCodecContext = self._stream.codec_context
        self._codec.thread_count = 1
        self._is_strict = self._codec.name == "mjpeg"
        if self._is_strict:
            self._codec.options = {"err_detect": "explode"}
        self._reformatter = VideoReformatter()
        self._first_shape: Fraction | None = None
        self._has_shape = False
        self.num_corrupt = self.num_hidden = 0
        self.fps = _plausible_fps(self._container, self._stream)
        self._timestamps = Timestamps(round(1 / (self.fps * self._stream.time_base)) if self._stream.time_base else 1)
        self._tell_length()
        self.notes = tuple(filter(None, (say_choice(self._container, self._stream), self._say_brightness())))

    def _tell_length(self) -> None:
        duration_s = (self._container.duration or 0) / 1_000_000
        self.num_announced = self._stream.frames or None
        self.num_frames = self.num_announced or round(duration_s * self.fps) or None
        self.end_s: float | None = None
        if self._stream.duration and self._stream.time_base:
            self.end_s = float(((self._stream.start_time or 0) + self._stream.duration) * self._stream.time_base)
        names = set(self._container.format.name.split(","))
        self.is_playlist = not names.isdisjoint(_PLAYLISTS)
        is_sizeless = self._container.size <= 0 or self.is_playlist or not names.isdisjoint(_CAMERAS)
        self.is_endless = duration_s <= 0 and is_sizeless

    def _say_brightness(self) -> str:
        name = HDR_NAMES.get(self._codec.color_trc)
        return "" if name is None else f"is HDR ({name}); its pictures are tone-mapped to standard brightness"

    def pictures(self) -> Iterator[VideoFrame | None]:
        """Yield decoded pictures, not yet converted, until the end; None for something damaged that was skipped.

        Their `time` is when they are shown; None where the file does not tell.

        Raises:
            av.FFmpegError, OSError: the source broke.
        """
        num_failures = 0
        for packet in self._packets():
            self._timestamps.correct_packet(packet)
            self.num_hidden += packet.is_discard
            try:
                decoded = self._codec.decode(packet)
            except av.FFmpegError:
                self._timestamps.forget_packet(packet)
                num_failures += 1
                self.num_corrupt += 1
                if self._is_strict and num_failures == self.num_corrupt == MAX_STRICT_FAILURES:
                    self._codec = VideoCodecContext.create("mjpeg", "r")
                yield None
                continue
            for picture in decoded:
                num_failures = 0
                picture.pts = self._timestamps.pts_of(picture.pts, has_reordering=bool(self._codec.has_b_frames))
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
        """Return (H, W, 3) uint8 as it is to be seen: upright, with square pixels, in standard brightness, opaque.

        Perhaps with gaps between the rows, and nobody else's.
        """
        is_square = self._square_size(picture) == (picture.width, picture.height)
        if is_square and picture.format.name in _ALPHA_LAST:  # GIF; as from swscale, for less time
            pixels = opaque_bgr(_pixels_of_plane(picture, 4))
        elif any(component.is_alpha for component in picture.format.components):
            pixels = opaque_bgr(_pixels_of_plane(self._converted(picture, "bgra"), 4))
        else:
            pixels = _pixels_of_plane(self._converted(picture, "bgr24"), 3)
            if self._codec.color_trc in HDR_NAMES:
                pixels = tone_mapped(pixels, self._codec.color_trc, is_wide=self._codec.color_primaries == BT2020)
        return Orientation.from_frame(picture).upright(pixels)

    def _converted(self, picture: VideoFrame, pixel_format: str) -> VideoFrame:
        width, height = self._square_size(picture)
        return self._reformatter.reformat(picture, width, height, format=pixel_format, threads=1)

    def size_of_picture(self, picture: VideoFrame) -> tuple[int, int]:
        """Return the width and height that `bgr_from_picture` would give, without converting the picture."""
        return Orientation.from_frame(picture).upright_size(*self._square_size(picture))

    def _square_size(self, picture: VideoFrame) -> tuple[int, int]:
        """Return width and height, before it is turned, that make its pixels square: as players do, by the width."""
        now = self._codec.sample_aspect_ratio
        if not self._has_shape:
            self._first_shape, self._has_shape = now, True
        # The container knows better than the codec, until the codec says that something has changed.
        ratio = (self._stream.sample_aspect_ratio or now) if now == self._first_shape else now
        if not ratio or not NARROWEST <= ratio <= WIDEST or abs(ratio - 1) < NEARLY_SQUARE:
            return picture.width, picture.height
        return max(1, round(picture.width * ratio)), picture.height

    def close(self) -> None:
        """Release the source."""
        self._container.close()


def _pixels_of_plane(picture: VideoFrame, num_channels: int) -> NDArray[np.uint8]:
    """Return (H, W, C) uint8, a view that keeps FFmpeg's memory alive; C is the number of bytes a pixel."""
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : num_channels * plane.width].reshape(plane.height, plane.width, num_channels)


def _plausible_fps(container: InputContainer, stream: VideoStream) -> float:
    rates = [stream.average_rate, stream.guessed_rate]
    if container.format.flags & _NO_TIMES:  # a bare stream: FFmpeg assumes 25, where the codec may know
        rates.insert(0, stream.codec_context.framerate)
    for rate in rates:
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
