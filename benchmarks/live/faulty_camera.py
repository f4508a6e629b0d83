"""Simulate an MJPEG camera on this machine that fails in all ways, one after another."""

import itertools
import socket
import threading
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from fer_deploy.live.sources.synthetic import SyntheticSource

_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
FAULTS = ("die", "stall", "garbage", "resize", "refuse", "freeze")
FRAMES_BETWEEN = 60
FPS = 30.0
PATIENCE_S = 4.0


class FaultyCamera:
    """Server of drawn faces on a port of 127.0.0.1; each connection ends in the next fault."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.2)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/video"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="faulty-camera")
        self._pictures = itertools.cycle(_jpegs())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        for fault in itertools.cycle(FAULTS):
            connection = self._accept()
            if connection is None:
                return
            with connection:
                try:
                    connection.settimeout(PATIENCE_S)
                    connection.recv(4096)
                    if fault == "refuse":
                        connection.sendall(b"HTTP/1.0 503 Service Unavailable\r\n\r\n")
                        continue
                    connection.sendall(_HEAD)
                    self._play(connection, FRAMES_BETWEEN)
                    self._fail(connection, fault)
                except OSError:  # the client closed the connection
                    continue

    def _accept(self) -> socket.socket | None:
        while not self._stopped.is_set():
            try:
                return self._server.accept()[0]
            except TimeoutError:
                continue
        return None

    def _play(self, connection: socket.socket, num: int) -> None:
        for jpeg in itertools.islice(self._pictures, num):
            connection.sendall(_part(jpeg))
            if self._stopped.wait(1 / FPS):
                return

    def _fail(self, connection: socket.socket, fault: str) -> None:
        if fault == "stall":
            self._stopped.wait(PATIENCE_S)
        elif fault == "garbage":
            connection.sendall(_part(b"\xff\xd8" + bytes(range(256)) * 20))
            self._play(connection, FRAMES_BETWEEN)
        elif fault == "resize":
            picture = np.full((240, 320, 3), 90, dtype=np.uint8)
            for level in range(FRAMES_BETWEEN):
                picture[:8, :8] = level
                connection.sendall(_part(_encoded(picture)))
                self._stopped.wait(1 / FPS)
        elif fault == "freeze":
            jpeg = next(self._pictures)
            for _ in range(int(PATIENCE_S * FPS)):
                connection.sendall(_part(jpeg))
                self._stopped.wait(1 / FPS)


def _part(jpeg: bytes) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)


def _encoded(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", picture)[1].tobytes())


def _jpegs() -> list[bytes]:
    return [_encoded(frame.frame_bgr) for frame in itertools.islice(SyntheticSource().frames(), 200)]
