"""VideoSource: a video file, a camera or a network stream, through OpenCV."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.base import Source
from fer_deploy.vision.types import Frame

ASSUMED_FPS = 30.0
NETWORK_TIMEOUT_MS = 5000
_TIMEOUTS = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS]


class VideoSource(Source):
    """A video file, a camera or a network stream, through OpenCV."""

    def __init__(self, capture: cv2.VideoCapture, name: str, *, is_live: bool) -> None:
        """Take an opened capture; `open_camera` and `open_video` make them."""
        super().__init__()
        self._capture = capture
        self.name = name
        self.is_live = is_live
        announced = capture.get(cv2.CAP_PROP_FPS)
        self.fps = announced if 1 <= announced <= 240 else ASSUMED_FPS

    def frames(self) -> Iterator[Frame]:
        """Yield decoded frames. A file ends; a live source that stops delivering is a StreamError."""
        started_ns = time.monotonic_ns()
        index = 0
        while True:
            ok, picture = self._capture.read()
            now_ns = time.monotonic_ns()
            if not ok:
                break
            time_s = (now_ns - started_ns) / 1e9 if self.is_live else index / self.fps
            yield Frame(np.asarray(picture, dtype=np.uint8), index, time_s, now_ns)
            index += 1
        if self.is_live:
            raise StreamError(f"{self.name} delivered no further frame after {index}. Fix: check the device or network")
        if index == 0:
            raise StreamError(
                f"{self.name} was opened but holds no frame that can be decoded. Fix: check it in a player"
            )

    def close(self) -> None:
        """Release the device or file."""
        self._capture.release()


def open_camera(number: int) -> VideoSource:
    """Open camera `number`, counted from 0; StreamError where there is none."""
    capture = cv2.VideoCapture(number) if number < 2**31 else None
    if capture is None or not capture.isOpened():
        devices = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*"))) or "none"
        raise StreamError(
            f"cannot open camera {number}; cameras on this machine: {devices}. "
            "Fix: plug one in, close the program that uses it, or try --source synthetic"
        )
    return VideoSource(capture, f"camera {number}", is_live=True)


def open_video(text: str, *, is_live: bool) -> VideoSource:
    """Open a file, or with `is_live` a URL; StreamError where it cannot be opened within the timeout."""
    capture = cv2.VideoCapture(text, cv2.CAP_FFMPEG, _TIMEOUTS if is_live else [])
    if not capture.isOpened():
        kind = "stream" if is_live else "file as a video"
        raise StreamError(f"cannot open the {kind} {without_password(text)}. Fix: check that a player shows it")
    is_endless = capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0  # a URL may well name a recording
    return VideoSource(capture, without_password(text), is_live=is_live and is_endless)


def without_password(url: str) -> str:
    """Return the text with user and password of a URL replaced by ***."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}://***@{rest.rsplit('@', 1)[1]}" if separator and "@" in rest else url
