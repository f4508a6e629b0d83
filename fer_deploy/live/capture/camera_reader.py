"""CameraReader: read a camera of this machine with OpenCV."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.capture.protocol import Request
from fer_deploy.live.capture.reader import ReadFailure

ASSUMED_FPS = 30.0


class CameraReader:
    """Implements `Reader`."""

    num_frames = None
    is_endless = True
    notes = ()

    def __init__(self, request: Request) -> None:
        """Open the camera; raises ReadFailure if there is none."""
        self._capture = cv2.VideoCapture(int(request.address))
        if not self._capture.isOpened():
            raise ReadFailure("it cannot be opened")
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.num_corrupt = 0
        announced = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = announced if 1 <= announced <= 240 else ASSUMED_FPS

    def grab(self) -> bool:
        """Wait for a frame."""
        return self._capture.grab()

    def retrieve(self) -> NDArray[np.uint8] | None:
        """Decode the frame; None if it is damaged, as from a camera that sends MJPEG over a bad cable."""
        ok, picture = self._capture.retrieve()
        if not ok:
            self.num_corrupt += 1
            return None
        return np.asarray(picture, dtype=np.uint8)

    def position_s(self) -> float | None:
        """Return None: a camera has no position."""
        return None


def open_reader(request: Request) -> CameraReader:
    """Open a camera by its number."""
    return CameraReader(request)
