"""A camera on loopback that sends MJPEG over HTTP, and misbehaves on demand, also in the middle of a picture."""

import base64
import contextlib
import socket
import threading
from typing import Literal

import cv2
import numpy as np

Mode = Literal["good", "still", "silent", "garbage", "damaged", "end"]
PERIOD_S = 0.02
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


def encode(level: int, *, width: int = 64, height: int = 48) -> bytes:
    """Return a JPEG: noise around a gray level."""
    noise = np.random.default_rng(level).integers(0, 20, (height, width, 3), dtype=np.uint8)
    ok, content = cv2.imencode(".jpg", noise + np.uint8(20 + level % 200))
    assert ok
    return content.tobytes()


class MjpegServer:
    """Serves any number of clients, a thread each; `mode` and `size` may change at any moment.

    Modes: good: another picture every 20 ms; still: one picture again and again; silent: connected, but no byte;
    garbage: bytes that mean nothing; damaged: every second JPEG broken; end: hangs up.
    """

    def __init__(self, *, login: str | None = None) -> None:
        self.mode: Mode = "good"
        self.size = (64, 48)
        self.num_clients = 0
        self._login = login
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._clients: set[socket.socket] = set()
        self.port = 0
        self.listen()

    def listen(self) -> None:
        """Accept clients, again on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._refusing = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener, self._refusing))
        self._acceptor.start()

    def die(self) -> None:
        """Hang up on everybody, and refuse new clients until `listen`."""
        self._refusing.set()
        self._acceptor.join()
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def url(self, login: str = "", path: str = "cam") -> str:
        """Return an address of this server."""
        return f"http://{login + '@' if login else ''}127.0.0.1:{self.port}/{path}"

    def __enter__(self) -> "MjpegServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.die()
        for thread in self._threads:
            thread.join()

    def _accept(self, listener: socket.socket, refusing: threading.Event) -> None:
        with listener:
            while not refusing.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = listener.accept()
                    self.num_clients += 1
                    self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                    self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        self._clients.add(client)
        with client, contextlib.suppress(OSError):
            client.settimeout(5)
            request = b""
            while b"\r\n\r\n" not in request:
                if not (part := client.recv(4096)):
                    return
                request += part
            if self._login and base64.b64encode(self._login.encode()) not in request:
                client.sendall(
                    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=cam\r\nContent-Length: 0\r\n\r\n"
                )
                return
            client.sendall(_HEAD)
            self._send_pictures(client)
        self._clients.discard(client)

    def _send_pictures(self, client: socket.socket) -> None:
        level = 0
        while self.mode != "end" and not self._closing.is_set() and not self._refusing.is_set():
            level += self.mode != "still"
            if self.mode == "garbage":
                client.sendall(np.random.default_rng(level).bytes(2000))
            elif self.mode != "silent":
                content = encode(level, width=self.size[0], height=self.size[1])
                if self.mode == "damaged" and level % 2:
                    content = content[:20] + bytes(100) + content[120:-200]
                client.sendall(
                    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(content), content)
                )
            self._closing.wait(PERIOD_S)
