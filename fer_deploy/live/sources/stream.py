"""StreamSource: read a camera or a URL in a separate process, and reconnect when it fails."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import StreamError, argument
from fer_deploy.live.capture.child import CaptureChild
from fer_deploy.live.capture.protocol import Ended, Message, Opened, Picture, Progress, Request, Started
from fer_deploy.live.file_names import split_stream
from fer_deploy.live.sources.base import Source
from fer_deploy.live.sources.clock import RecordingClock
from fer_deploy.live.sources.config import SourceConfig
from fer_deploy.live.sources.watchdog import Backoff, FrozenWatch
from fer_deploy.privacy.redaction import ESCAPE_FIX, is_ambiguous, redacted, without_password
from fer_deploy.vision.types import Frame

POLL_S = 0.05
"""Interval of checks for a stop."""
START_S = 60.0
"""Limit for loading the packages of the capture process; it takes seconds on a busy machine or a slow disk."""
ASSUMED_FPS = 30.0
CAMERA, STREAM = "camera_reader", "stream_reader"
_CHECK = "Fix: check the device or network"
_CHECK_PLAYER = "Fix: check that a player shows it"
_log = logging.getLogger(__name__)


class StreamSource(Source):
    """A camera, a live stream, or a recording at a URL.

    A live source reconnects when it fails, stalls or freezes. Indices and time continue, and the gap gets no frames. A
    recording is read without loss, and a failure ends it.
    """

    def __init__(self, request: Request, name: str, config: SourceConfig) -> None:
        """Connect, unless `config.keep_trying` is set; then `frames` connects. See `open_camera` and `open_url`.

        `is_live` is known after the first connection.

        Raises:
            StreamError: connecting failed.
        """
        super().__init__()
        self.name, self._request, self._config = name, request, config
        self.is_live, self.fps = None, ASSUMED_FPS
        self.health.state = "connecting"
        self._child: CaptureChild | None = None
        self._is_opened = config.keep_trying
        self._backoff = Backoff(config.max_reconnects)
        self._frozen = FrozenWatch()
        self._next_index = 0
        self._first_ns: int | None = None
        self._clock = RecordingClock()
        self._shape: tuple[int, ...] | None = None
        self._num_corrupt_before = 0
        if config.keep_trying:  # `frames` connects, so that this source does not delay the others
            return
        try:
            self._connect()
        except BaseException:  # Ctrl-C, too
            self._disconnect()
            raise
        self._is_opened = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames; `time_s` counts from the first one, and `captured_ns` is when it was decoded.

        Raises:
            StreamError: a recording failed, or a live source failed more often in a row than `max_reconnects` allows.
        """
        while not self._stopped.is_set():
            try:
                if self._child is None:
                    self._connect()
                yield from self._deliver()
                return
            except StreamError as err:
                self._disconnect()
                if self.is_live is False:
                    raise
                self._note(err)
                delay_s = self._backoff.delay_s()
                if delay_s is None:
                    raise self._given_up(err) from None
                self._stopped.wait(delay_s)

    def close(self) -> None:
        """Kill the capture process."""
        self._disconnect()
        self.health.state = "ended"

    def _given_up(self, err: StreamError) -> StreamError:
        num = self._backoff.num_failures
        return err if num == 1 else StreamError(f"{self.name} failed {num} times in a row, the last time: {err}")

    def _note(self, err: StreamError) -> None:
        """Store and log a failure that does not end the source."""
        self.health.state = "connecting" if self._first_ns is None else "reconnecting"
        if self.health.last_error != str(err):
            _log.warning("%s", err)
        self.health.last_error = str(err)

    def _connect(self) -> None:
        """Start a capture process and wait until it is connected, or until `stop`."""
        try:
            self._child = CaptureChild(self._request)
        except OSError as err:
            raise StreamError(f"cannot start a process that reads {self.name}: {err.strerror}") from err
        answer = self._next_message(START_S)
        if isinstance(answer, Started):
            answer = self._next_message(self._config.connect_s)
        if isinstance(answer, Opened):
            self.fps, self.num_frames = answer.fps, answer.num_frames
            self.is_live = answer.is_endless if self.is_live is None else self.is_live
            self._tell(tuple(answer.notes))
            self._num_corrupt_before = self.health.num_corrupt
            self._frozen = FrozenWatch()
        elif isinstance(answer, Ended):
            raise self._cannot_open(redacted(answer.failure, self._request.address))
        elif not self._stopped.is_set():
            raise self._cannot_open(f"no answer within {self._config.connect_s:g} s")

    def _tell(self, notes: tuple[str, ...]) -> None:
        """Store the notes. The opener of the source prints the first ones; new ones after a reconnection are logged."""
        if self._is_opened and notes != self.notes:
            for note in notes:
                _log.warning("%s %s", self.name, note)
        self.notes = notes

    def _cannot_open(self, reason: str) -> StreamError:
        if self._request.reader != CAMERA:
            known = "Protocol not found" not in reason
            fix = _CHECK_PLAYER if known else "Fix: an address begins with rtsp://, rtmp://, http:// or https://"
            return StreamError(f"cannot open the stream {self.name}: {reason}. {fix}")
        devices = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        return StreamError(
            f"cannot open {self.name}: {reason}; cameras on this machine: {devices}. "
            f"Fix: plug one in, close the program that uses it, or try {argument('source', 'synthetic')}"
        )

    def _next_message(self, timeout_s: float) -> Message | None:
        """Return the next message of the capture process, or None at `stop` or after the time limit."""
        assert self._child is not None
        deadline_s = time.monotonic() + timeout_s
        while not self._stopped.is_set():
            left_s = deadline_s - time.monotonic()
            message = self._child.receive(max(0.0, min(POLL_S, left_s)))
            if message is not None or left_s <= 0:
                return message
        return None

    def _deliver(self) -> Iterator[Frame]:
        """Yield the frames of one connection until `stop` or the end of a recording; a failure raises StreamError."""
        base_index = self._next_index
        before: Picture | None = None
        deadline_s = time.monotonic() + self._config.stall_s
        while not self._stopped.is_set():
            message = self._next_message(deadline_s - time.monotonic())
            if isinstance(message, Picture):
                self._count_corrupt(message.num_corrupt)
                self.health.num_overtaken += _num_between(before, message) if self.is_live else 0
                before = message
                if self._next_index == base_index:
                    self._is_back()
                yield self._frame(message, base_index + message.index)
                deadline_s = time.monotonic() + self._config.stall_s
            elif isinstance(message, Progress):
                self._count_corrupt(message.num_corrupt)
            elif isinstance(message, Ended):
                self._count_corrupt(message.num_corrupt)
                self._check_end(redacted(message.failure, self._request.address))
                return
            elif not self._stopped.is_set():
                self.health.num_stalls += 1
                raise StreamError(f"{self.name} sent no frame for {self._config.stall_s:g} s. {_CHECK}")

    def _is_back(self) -> None:
        if self._first_ns is not None:
            self.health.num_reconnects += 1
        self.health.state = "running"

    def _count_corrupt(self, num_corrupt: int) -> None:
        self.health.num_corrupt = max(self.health.num_corrupt, self._num_corrupt_before + num_corrupt)

    def _check_end(self, failure: str) -> None:
        """Return if a recording ended regularly; otherwise raise StreamError."""
        seen = f"after {self._next_index} frames"
        if failure:
            raise StreamError(f"{self.name} broke off {seen}: {failure}. {_CHECK}")
        if self.is_live:
            raise StreamError(f"{self.name} delivered no further frame {seen}. {_CHECK}")
        if self._next_index == 0:
            raise StreamError(f"{self.name} was opened but has no frame that can be decoded. {_CHECK_PLAYER}")

    def _frame(self, message: Picture, index: int) -> Frame:
        assert self._child is not None
        picture = self._child.picture(message)
        if self._shape not in {None, picture.shape}:
            self.health.num_size_changes += 1
        self._shape = picture.shape
        self._next_index = index + 1
        if self._first_ns is None:
            self._first_ns = message.captured_ns
        if self.is_live:
            self._watch(picture, time.monotonic())
            time_s = (message.captured_ns - self._first_ns) / 1e9
        else:
            time_s = self._clock.time_s(message.position_s, self.fps)
        return Frame(picture, index, time_s, message.captured_ns)

    def _watch(self, picture: NDArray[np.uint8], now_s: float) -> None:
        still_s = self._frozen.still_s(picture, now_s) if self._config.frozen_s else 0.0
        if still_s == 0:
            self._backoff.works(now_s)
        elif still_s >= self._config.frozen_s:
            self.health.num_frozen += 1
            raise StreamError(
                f"{self.name} repeated one frame for {self._config.frozen_s:g} s. Fix: check the camera; "
                "frozen_s: 0 allows still pictures"
            )

    def _disconnect(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _num_between(before: Picture | None, after: Picture) -> int:
    """Return how many undamaged frames are missing between two received frames of a connection.

    Frames before the first received one do not count; they came before the loop read the source.
    """
    if before is None:
        return 0
    return max(0, after.index - before.index - 1 - (after.num_corrupt - before.num_corrupt))


def open_camera(number: int, config: SourceConfig) -> StreamSource:
    """Open camera `number`, counted from 0; raises StreamError if there is none."""
    if number >= 2**31:
        raise StreamError(f"cannot open camera {number}: no such number. Fix: {argument('source', '0')}")
    return StreamSource(Request(CAMERA, str(number)), f"camera {number}", config)


def open_url(url: str, config: SourceConfig) -> StreamSource:
    """Connect to a URL.

    Raises:
        StreamError: it does not connect within `config.connect_s`, or an unescaped character hides where the host
            begins. Then no host name is looked up, since it could be a part of the password.
    """
    if is_ambiguous(url):
        raise StreamError(
            f"cannot open the stream {without_password(url)}: an @ comes after a /, # or ?, so it is unclear "
            f"where the password ends and the host begins. Fix: {ESCAPE_FIX}"
        )
    is_rtsp = url.partition("://")[0].lower() in {"rtsp", "rtsps"}
    options: dict[str, str] = {"rtsp_transport": config.rtsp_transport} if is_rtsp else {}
    address, stream = split_stream(url)
    return StreamSource(Request(STREAM, address, options, stream), without_password(url), config)
