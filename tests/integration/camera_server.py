"""A camera on loopback that misbehaves on demand, also in mid-stream; what it speaks is its subclasses' matter."""

import base64
import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from typing import Literal, Self

import numpy as np

Mode = Literal["good", "still", "silent", "garbage", "damaged", "end", "mute"]
PERIOD_S = 0.02


def picture(level: int, *, width: int, height: int) -> np.ndarray:
    """Return (height, width, 3): noise around a gray level."""
    noise = np.random.default_rng(level).integers(0, 20, (height, width, 3), dtype=np.uint8)
    return noise + np.uint8(20 + level % 200)


class CameraServer(ABC):
    """Serves any number of clients, a thread each; `mode` and `size` may change at any moment, `num_sent` counts.

    Modes: good: another picture every 20 ms; still: one picture again and again; silent: connected, but no byte more;
    garbage: bytes that mean nothing; damaged: every second picture broken; end: hangs up; mute: takes connections and
    never answers.
    """

    def __init__(self, *, login: str | None = None) -> None:
        self.mode: Mode = "good"
        self.size = (64, 48)
        self.num_clients = 0
        self.num_sent = 0
        self.port = 0
        self._login = base64.b64encode(login.encode()) if login else b""
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._clients: set[socket.socket] = set()
        self.listen()

    @abstractmethod
    def url(self, login: str = "") -> str:
        """Return the address of this server."""

    @abstractmethod
    def talk(self, client: socket.socket) -> None:
        """Answer a client's requests, then send pictures while `is_wanted`."""

    def listen(self) -> None:
        """Accept clients, again on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._refusing = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener, self._refusing))
        self._acceptor.start()

    def die(self) -> None:
        """Hang up on everybody, and refuse clients until `listen`."""
        self._refusing.set()
        self._acceptor.join()
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def forget_clients(self) -> None:
        """Wait until the sockets and threads of clients that have gone are released."""
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.die()
        self.forget_clients()

    def is_wanted(self) -> bool:
        """Wait until the next picture is due; return whether there is to be one."""
        self._closing.wait(PERIOD_S)
        self.num_sent += 1
        return self.mode != "end" and not self._closing.is_set() and not self._refusing.is_set()

    def is_allowed(self, request: bytes) -> bool:
        """Whether a request carries the login."""
        return self._login in request

    def read_request(self, client: socket.socket) -> bytes:
        """Return a request up to its empty line; OSError when the client is gone."""
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            if not (part := client.recv(1)):
                raise ConnectionResetError
            request += part
        return request

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
            client.settimeout(10)
            while self.mode == "mute" and self.is_wanted():
                pass
            self.talk(client)
        self._clients.discard(client)
