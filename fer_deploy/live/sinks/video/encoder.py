"""VideoEncoder: write timed frames into a video file that is playable while it is being written."""

from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fer_deploy.live.file_names import file_address
from fer_deploy.live.sinks.base import Picture
from fer_deploy.live.sinks.video.codecs import MOTION_JPEG, Encoding, choose_encoding
from fer_deploy.live.sinks.video.thread_priority import priority_kept

_TICKS_PER_S = 1000
"""The finest resolution of Matroska."""
_SECONDS_PER_KEYFRAME = 2
_LIMITED_RANGE, _BT601 = 1, 6
"""YUV format of `cv2.cvtColor`, in FFmpeg's numbers. The file stores it: players assume BT.709 for large frames."""


class _Format(NamedTuple):
    """Container format.

    Attributes:
        muxer: FFmpeg's name.
        while_writing: options that make an unfinished file playable.
        has_times: whether frames may be unevenly spaced.
    """

    muxer: str
    while_writing: dict[str, str]
    has_times: bool


_FRAGMENTS = {"movflags": "empty_moov+default_base_moof", "frag_duration": "1000000"}
_FORMATS = {
    ".mp4": _Format("mp4", _FRAGMENTS, True),
    ".mkv": _Format("matroska", {"cluster_time_limit": "1000"}, True),
    ".avi": _Format("avi", {}, False),
}
VIDEO_SUFFIXES = tuple(_FORMATS)


class VideoEncoder:
    """Writes one file. Used by one thread; raises `av.FFmpegError` where FFmpeg fails."""

    def __init__(
        self, path: Path, *, size: tuple[int, int], fps: float, is_live: bool, encoding: Encoding | None = None
    ) -> None:
        """Create the file; its suffix, one of `VIDEO_SUFFIXES`, chooses the container.

        Args:
            path: of the file; an existing one is replaced.
            size: width and height in pixels, both even.
            fps: frames per second; for a live source the usual rate.
            is_live: frames keep their timestamps, so that dropped frames do not speed up the video. Otherwise frames
                are evenly spaced.
            encoding: of .mp4 and .mkv; None: the default of `choose_encoding`. An .avi is Motion JPEG.
        """
        self.num_frames = 0
        self._has_failed = False
        self._format = _FORMATS[path.suffix.lower()]
        self._encoding = MOTION_JPEG if path.suffix.lower() == ".avi" else encoding or choose_encoding()
        self._rate = Fraction(fps).limit_denominator(1001)
        self._keeps_times = is_live
        has_ticks = is_live and self._format.has_times
        self._time_base = Fraction(1, _TICKS_PER_S) if has_ticks else 1 / self._rate
        self._usual_ticks = max(1, round(1 / self._rate / self._time_base))
        self._last_tick = -1
        self._shift_s: float | None = None
        options = {**self._format.while_writing, "flush_packets": "1"}
        self._container = av.open(file_address(path), "w", format=self._format.muxer, container_options=options)
        self._stream = self._add_stream(size)

    def _add_stream(self, size: tuple[int, int]) -> VideoStream:
        stream: VideoStream = self._container.add_stream(self._encoding.encoder, rate=self._rate)  # type: ignore[assignment]
        codec: Any = stream.codec_context
        codec.width, codec.height = size
        codec.pix_fmt = "yuv420p" if self._encoding.is_yuv420p else "yuvj420p"
        codec.options = dict(self._encoding.options)
        codec.thread_count = 1  # the loop needs the other cores; one encodes 720p at over 100 frames/s
        codec.time_base = self._time_base
        codec.gop_size = max(1, round(self._rate * _SECONDS_PER_KEYFRAME))
        if self._encoding.is_yuv420p:
            codec.bit_rate = 0  # no limit: the quality is constant
            codec.color_range, codec.colorspace = _LIMITED_RANGE, _BT601
        return stream

    def add(self, picture: Picture, time_s: float) -> None:
        """Append a frame of the given size, (H, W, 3) uint8 BGR.

        Args:
            picture: the frame.
            time_s: its time in seconds on any clock. If the clock goes back, the video continues.
        """
        frame = self._encodable(picture)
        self._last_tick = self._tick(time_s)
        frame.pts, frame.time_base = self._last_tick, self._time_base
        self._mux(frame)
        self.num_frames += 1

    def _mux(self, frame: VideoFrame | None) -> None:
        try:
            with priority_kept() if self.num_frames == 0 else nullcontext():  # the first frame opens the encoder
                packets = self._stream.encode(frame)
            self._container.mux(packets)
        except av.FFmpegError:
            self._has_failed = True
            raise

    def _encodable(self, picture: Picture) -> VideoFrame:
        if not self._encoding.is_yuv420p:
            return VideoFrame.from_ndarray(picture, format="bgr24")
        # OpenCV converts faster and with more accurate colors than FFmpeg.
        picture_yuv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)
        return VideoFrame.from_ndarray(picture_yuv, format="yuv420p")

    def _tick(self, time_s: float) -> int:
        """Return the frame's time in units of the time base, after the last frame's."""
        if not self._keeps_times:
            return self._last_tick + 1
        if self._shift_s is None:
            self._shift_s = -time_s
        tick = round((time_s + self._shift_s) / self._time_base)
        if tick <= self._last_tick - self._usual_ticks:  # the clock went back
            tick = self._last_tick + self._usual_ticks
            self._shift_s = float(tick * self._time_base) - time_s
        return max(tick, self._last_tick + 1)

    def close(self) -> None:
        """Write the encoder's remaining packets and the end of the file."""
        try:
            if not self._has_failed:  # FFmpeg crashes on a packet after a header that it could not write
                self._mux(None)
        finally:
            self._container.close()
