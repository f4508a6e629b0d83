"""PipeSource: read frames that another program writes to standard input."""

import logging
import os
import re
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import ASSUMED_FPS, VideoDecoder, reason_from_error, silence_ffmpeg
from fer_deploy.live.capture.stream_choice import NoVideo
from fer_deploy.live.sources.base import Source, SourceHealth
from fer_deploy.live.sources.clock import RecordingClock
from fer_deploy.live.sources.config import SourceConfig
from fer_deploy.vision.types import Frame

_log = logging.getLogger(__name__)
POLL_S = 0.05
"""Interval of checks for a stop."""
STALLED: Final = "stalled"
_JPEG_MAGIC = b"\xff\xd8\xff"
_RAW = re.compile(r"raw:(?P<width>[1-9]\d{0,4})x(?P<height>[1-9]\d{0,4})(@(?P<fps>\d+(\.\d+)?))?(:(?P<layout>\w+))?")
_BYTES_A_PIXEL: Final = {"bgr24": 3.0, "gray": 1.0, "yuv420p": 1.5}
_PROBE: Final = {"probesize": "32", "analyzeduration": "0"}
"""MJPEG needs no probing; with it, a slow pipe would deliver no frame for a long time."""


@dataclass(frozen=True)
class RawLayout:
    """Layout of raw frames in the pipe, one after another without separators."""

    width: int
    height: int
    fps: float
    layout: str

    @property
    def frame_bytes(self) -> int:
        """Size of one frame."""
        return round(self.width * self.height * _BYTES_A_PIXEL[self.layout])

    def bgr(self, content: bytes) -> NDArray[np.uint8]:
        """Convert `frame_bytes` bytes to a frame (H, W, 3)."""
        flat = np.frombuffer(content, np.uint8)
        if self.layout == "bgr24":
            return flat.reshape(self.height, self.width, 3)
        if self.layout == "gray":
            return np.asarray(cv2.cvtColor(flat.reshape(self.height, self.width), cv2.COLOR_GRAY2BGR), dtype=np.uint8)
        planes = flat.reshape(self.height * 3 // 2, self.width)
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)


class StoppablePipe:
    """Reads a descriptor and notices a stop while it waits. Has the `read` method that PyAV needs."""

    def __init__(self, handle: int, stopped: threading.Event, stall_s: float, health: SourceHealth) -> None:
        """Read from a descriptor, which the caller closes.

        Args:
            handle: the descriptor.
            stopped: ends the pipe at once when set.
            stall_s: seconds without a byte that count as a stall.
            health: updated at a stall.
        """
        self._handle, self._stopped, self._stall_s, self._health = handle, stopped, stall_s, health
        self._peeked = b""

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes without consuming them, fewer at the end."""
        while len(self._peeked) < size and (more := self._read(size - len(self._peeked))):
            self._peeked += more
        return self._peeked

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes as soon as there are some; empty at the end and after a stop."""
        if self._peeked:
            taken, self._peeked = self._peeked[:size], self._peeked[size:]
            return taken
        return self._read(size)

    def read_exactly(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end."""
        parts: list[bytes] = []
        while size and (part := self.read(min(size, 2**20))):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        since_s, before = time.monotonic(), self._health.state
        while not self._stopped.is_set():
            if select.select([self._handle], [], [], POLL_S)[0]:
                self._health.state = before
                return os.read(self._handle, size)
            if self._health.state != STALLED and time.monotonic() - since_s > self._stall_s:
                self._record_stall()
        return b""

    def _record_stall(self) -> None:
        self._health.state = STALLED
        self._health.num_stalls += 1
        self._health.last_error = (
            f"standard input sent nothing for {self._stall_s:g} s. Fix: check the program that writes to it"
        )


class RedirectedFile(StoppablePipe):
    """A file redirected with `<`. Unlike a pipe it can seek, which MP4 files with their index at the end need."""

    def __init__(self, handle: int, stopped: threading.Event, stall_s: float, health: SourceHealth) -> None:
        """See `StoppablePipe`; offsets count from the descriptor's current position."""
        super().__init__(handle, stopped, stall_s, health)
        self._start = os.lseek(handle, 0, os.SEEK_CUR)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek, as `io.IOBase.seek`."""
        if whence == os.SEEK_SET:
            offset += self._start
        elif whence == os.SEEK_CUR:
            offset -= len(self._peeked)
        self._peeked = b""
        return os.lseek(self._handle, offset, whence) - self._start

    def tell(self) -> int:
        """Return the position, as `io.IOBase.tell`."""
        return os.lseek(self._handle, 0, os.SEEK_CUR) - len(self._peeked) - self._start


class PipeSource(Source):
    """Frames from a pipe: MJPEG, any format that FFmpeg recognizes, or raw frames.

    A pipe is live: older frames are dropped, otherwise a camera behind it would lag more and more. A file redirected to
    standard input (`<`) is a recording. A pipe cannot be reconnected: stalls are counted, and the source waits.
    """

    def __init__(self, raw: RawLayout | None, config: SourceConfig, handle: int = 0) -> None:
        """Read from a descriptor, which the caller closes; see `open_pipe`.

        Args:
            raw: layout of raw frames; None: the format is detected from the first bytes.
            config: for `stall_s`.
            handle: the descriptor; 0 is standard input.

        Raises:
            StreamError: the descriptor cannot be read.
        """
        super().__init__()
        self.name = "standard input"
        if handle == 0 and sys.stdin is None:  # closed at the start; descriptor 0 may be another file now
            raise StreamError(f"{self.name} is closed. Fix: camera-program | fer-deploy ...")
        try:
            self.is_live = not stat.S_ISREG(os.fstat(handle).st_mode)
        except OSError as err:
            raise StreamError(f"cannot read {self.name}: {err.strerror}. Fix: camera-program | fer-deploy ...") from err
        if os.isatty(handle):
            raise StreamError(f"{self.name} is a terminal, expected pictures. Fix: camera-program | fer-deploy ...")
        self.health.state = "connecting"
        self._raw = raw
        self.fps = raw.fps if raw else ASSUMED_FPS
        reader = StoppablePipe if self.is_live else RedirectedFile
        self._pipe = reader(handle, self._stopped, config.stall_s, self.health)

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the writer ends.

        Raises:
            StreamError: the data are not frames.
        """
        first_ns: int | None = None
        shape: tuple[int, ...] | None = None
        index, clock = 0, RecordingClock()
        for picture, position_s in self._decoded() if self._raw is None else self._raw_frames(self._raw):
            if self._stopped.is_set():
                return
            now_ns = time.monotonic_ns()
            first_ns = now_ns if first_ns is None else first_ns
            self.health.state = "running"
            if shape not in {None, picture.shape}:
                self.health.num_size_changes += 1
            shape = picture.shape
            time_s = (now_ns - first_ns) / 1e9 if self.is_live else clock.time_s(position_s, self.fps)
            yield Frame(picture, index, time_s, now_ns)
            index += 1
        if index == 0 and not self._stopped.is_set():
            why = f" ({self.health.last_error})" if self.health.last_error else ""
            raise StreamError(
                f"{self.name} ended before the first whole frame{why}. Fix: check the output of the program before it; "
                "an MP4 in a pipe needs its index at the front (ffmpeg -movflags faststart), or use --source FILE"
            )

    def _raw_frames(self, raw: RawLayout) -> Iterator[tuple[NDArray[np.uint8], None]]:
        while len(content := self._pipe.read_exactly(raw.frame_bytes)) == raw.frame_bytes:
            yield raw.bgr(content), None
        if content and not self._stopped.is_set():
            self.health.num_corrupt += 1
            self.health.last_error = f"the last frame had {len(content)} bytes, expected {raw.frame_bytes}"

    def _decoded(self) -> Iterator[tuple[NDArray[np.uint8], float | None]]:
        is_mjpeg = self._pipe.peek(len(_JPEG_MAGIC)) == _JPEG_MAGIC
        silence_ffmpeg()
        try:
            decoder = VideoDecoder(
                cast(BinaryIO, self._pipe),
                container_format="mjpeg" if is_mjpeg else None,
                options=_PROBE if is_mjpeg else {},
            )
        except (av.FFmpegError, OSError, NoVideo) as err:
            if self._stopped.is_set():
                return
            raise StreamError(
                f"{self.name} has neither MJPEG nor another video that FFmpeg recognizes: {reason_from_error(err)}. "
                "Fix: raw frames need --source raw:WIDTHxHEIGHT"
            ) from err
        self.fps, self.notes = decoder.fps, decoder.notes
        for note in self.notes:
            _log.warning("%s %s", self.name, note)
        try:
            for picture in decoder.pictures():
                self.health.num_corrupt = decoder.num_corrupt
                if picture is not None:
                    position_s = None if is_mjpeg else picture.time
                    yield np.ascontiguousarray(decoder.bgr_from_picture(picture)), position_s
        except (av.FFmpegError, OSError) as err:
            self.health.last_error = f"{self.name} cannot be read further: {reason_from_error(err)}"
        finally:
            decoder.close()


def open_pipe(text: str, config: SourceConfig) -> PipeSource:
    """Open standard input by "-" or "raw:WIDTHxHEIGHT[@FPS][:LAYOUT]"; raises StreamError if malformed."""
    if text == "-":
        return PipeSource(None, config)
    parts = _RAW.fullmatch(text)
    layout = (parts["layout"] or "bgr24") if parts else ""
    if parts is None or layout not in _BYTES_A_PIXEL or not 1 <= float(parts["fps"] or ASSUMED_FPS) <= 1000:
        raise StreamError(
            f"cannot read raw frames as {text!r}. Expected raw:WIDTHxHEIGHT[@FPS][:{'|'.join(_BYTES_A_PIXEL)}]. "
            "Fix: --source raw:640x480@30:bgr24"
        )
    width, height = int(parts["width"]), int(parts["height"])
    if layout == "yuv420p" and (width % 2 or height % 2):
        raise StreamError(
            f"yuv420p needs even sides, found {text!r}. Fix: --source raw:{width // 2 * 2}x{height // 2 * 2}:yuv420p"
        )
    return PipeSource(RawLayout(width, height, float(parts["fps"] or ASSUMED_FPS), layout), config)
