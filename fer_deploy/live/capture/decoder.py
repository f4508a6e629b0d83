"""VideoDecoder: decode files, streams and pipes with FFmpeg, through PyAV. It starts no threads or processes."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, BinaryIO, Final, cast

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
Packet = Any
"""A packet of the video stream, `av.Packet[VideoStream]`."""
_ALPHA_LAST: Final = frozenset({"bgra", "bgr0"})
NARROWEST, WIDEST = Fraction(1, 8), Fraction(8)
"""Limits of the pixel aspect ratio; values outside are mistakes in the file."""
NEARLY_SQUARE: Final = 0.01
"""Invisible deviation from square pixels; correcting it would cost a scaled copy of every frame."""
_PLAYLISTS: Final = frozenset({"hls", "dash"})
"""Formats whose size is that of the playlist; a playlist with an end has a duration."""
_NO_TIMES: Final = 0x80
"""FFmpeg's flag of formats without timestamps (AVFMT_NOTIMESTAMPS)."""
_CAMERAS: Final = frozenset({"mpjpeg", "mjpeg"})
"""Sequences of JPEGs: they have no duration, and cameras announce invented sizes for clients that require one."""
MAX_BAD_READS: Final = 64
"""Number of unreadable packets in a row after which the source counts as broken, not just damaged."""
MAX_STRICT_FAILURES: Final = 10
"""If this many JPEGs from the start fail the strict check, the camera writes them this way; the check is turned off."""


class VideoDecoder:
    """An opened video. Damaged frames are skipped and counted, as far as the codec detects them.

    All files, streams and pipes are read with this class. It chooses the stream, and sets the time, orientation, aspect
    ratio and brightness of each frame.

    FFmpeg fills the rest of a broken JPEG with gray without an error. So its strict mode is used, unless every JPEG
    fails then.

    One thread decodes: frame threads delay live video by several frames, and on small machines they take cores from the
    analysis. Pixels and speed were measured to equal those of `cv2.VideoCapture`.

    Attributes:
        fps: as announced, or `ASSUMED_FPS` if the announced rate is implausible.
        time_base: seconds of a tick of the frames' times.
        num_announced: number of frames according to the container, or None.
        num_frames: the same, or estimated from the duration; None if that is unknown, too.
        end_s: end of the stream according to the container, on the clock of the frames' times, or None.
        is_endless: whether neither its duration nor its size is known.
        is_playlist: whether its frames arrive in bursts, as files of some seconds.
        num_corrupt: packets and frames that were skipped.
        num_hidden: packets whose frames an edit list hides.
        num_packets: packets with data that were read.
        notes: sentences for the user about how the video is read.
    """

    def __init__(
        self,
        source: str | BinaryIO,
        *,
        container_format: str | None = None,
        options: Mapping[str, str] | None = None,
        stream: int | None = None,
    ) -> None:
        """Open a file, a URL, or an object with `read`; blocks as long as opening takes.

        Args:
            source: what to open; a file as `file_address`.
            container_format: FFmpeg's name of the format; None: detected.
            options: FFmpeg's options for the demuxer and its protocol.
            stream: number of the stream as ffprobe counts; None: see `choose_stream`.

        Raises:
            av.FFmpegError, OSError: FFmpeg cannot open it.
            NoVideo: it has no video.
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
        self.num_corrupt = self.num_hidden = self.num_packets = 0
        self.time_base: Fraction = self._stream.time_base or Fraction(1)
        self.fps = _plausible_fps(self._container, self._stream)
        self._timestamps = Timestamps(self._ticks_per_frame())
        self._timed_packets: Iterator[Packet] = (packet for packet, _ in self.packets_and_times())
        self._set_length()
        self.notes = tuple(filter(None, (say_choice(self._container, self._stream), self._say_brightness())))

    @property
    def codec(self) -> str:
        """FFmpeg's name of the decoder."""
        return str(self._codec.name)

    def _set_length(self) -> None:
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

    def _ticks_per_frame(self) -> int:
        return round(1 / (self.fps * self.time_base))

    def packets_and_times(self) -> Iterator[tuple[Packet, tuple[int | None, int | None]]]:
        """Yield each packet with corrected times, and its pts and dts as read. Call either this or `pictures`.

        Raises:
            av.FFmpegError, OSError: the source failed.
        """
        for packet in self._packets():
            read = packet.pts, packet.dts
            self._timestamps.correct_packet(packet)
            yield packet, read

    def begin_at(
        self,
        locate: "Callable[[Iterator[Packet], Timestamps], Iterator[Packet]]",
        ticks: int | None,
        *,
        knows_order: bool,
    ) -> None:
        """Begin at a packet in the middle of a file. Call it before `pictures`.

        Args:
            locate: gets the packets as they are read, and yields those from that packet on, with corrected times.
            ticks: where to seek, in the container's own time; None: read from the start.
            knows_order: see `Timestamps`.

        Raises:
            av.FFmpegError, OSError: the source cannot seek.
        """
        if ticks is not None:
            self._container.seek(ticks, stream=self._stream)
        self._timestamps = Timestamps(self._ticks_per_frame(), knows_order=knows_order)
        self._timed_packets = locate(self._packets(), self._timestamps)

    def pictures(self) -> Iterator[VideoFrame | None]:
        """Yield decoded frames, not yet converted, until the end; None for a damaged one that was skipped.

        Their `time` is their presentation time, or None if the file gives none.

        Raises:
            av.FFmpegError, OSError: the source failed.
        """
        num_failures = 0
        for packet in self._timed_packets:
            self.num_packets += packet.size > 0
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

    def _packets(self) -> Iterator[Packet]:
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
        """Return the frame for display, (H, W, 3) uint8: upright, with square pixels, standard brightness, opaque.

        The array belongs to the caller and need not be contiguous.
        """
        is_square = self._square_size(picture) == (picture.width, picture.height)
        if is_square and picture.format.name in _ALPHA_LAST:  # GIF; the same as from swscale, but faster
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
        """Return the width and height of `bgr_from_picture` without converting the frame."""
        return Orientation.from_frame(picture).upright_size(*self._square_size(picture))

    def _square_size(self, picture: VideoFrame) -> tuple[int, int]:
        """Return width and height before rotation for square pixels; like in players, the width is scaled."""
        now = self._codec.sample_aspect_ratio
        if not self._has_shape:
            self._first_shape, self._has_shape = now, True
        # The container's ratio has priority until the codec's ratio changes.
        ratio = (self._stream.sample_aspect_ratio or now) if now == self._first_shape else now
        if not ratio or not NARROWEST <= ratio <= WIDEST or abs(ratio - 1) < NEARLY_SQUARE:
            return picture.width, picture.height
        return max(1, round(picture.width * ratio)), picture.height

    def close(self) -> None:
        """Release the source."""
        self._container.close()


def _pixels_of_plane(picture: VideoFrame, num_channels: int) -> NDArray[np.uint8]:
    """Return (H, W, C) uint8, a view that keeps FFmpeg's memory alive; C is the number of bytes per pixel."""
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : num_channels * plane.width].reshape(plane.height, plane.width, num_channels)


def _plausible_fps(container: InputContainer, stream: VideoStream) -> float:
    rates = [stream.average_rate, stream.guessed_rate]
    if container.format.flags & _NO_TIMES:  # a raw stream: FFmpeg assumes 25, but the codec may know the rate
        rates.insert(0, stream.codec_context.framerate)
    for rate in rates:
        if rate is not None and 1 <= rate <= 240:
            return float(rate)
    return ASSUMED_FPS


def silence_ffmpeg() -> None:
    """Stop FFmpeg from writing every small fault to stderr; its exceptions still carry the reasons of failures."""
    av.logging.set_libav_level(av.logging.PANIC)


def reason_from_error(err: Exception) -> str:
    """Return why FFmpeg failed, with its log message if there is one; the text may contain the URL."""
    if not isinstance(err, av.FFmpegError):
        return str(err) or type(err).__name__
    error = err.strerror or type(err).__name__
    logged = cast("tuple[int, str, str] | None", err.log)  # (level, logger, message); the stub is wrong
    words = logged[2].strip() if logged is not None else ""
    return words if error in words else f"{error}: {words}" if words else error
