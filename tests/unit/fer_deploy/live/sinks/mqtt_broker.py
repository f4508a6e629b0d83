"""A broker for tests: as much of MQTT as publishing needs."""

import json
import socket
import ssl
import threading
from queue import Queue

GUARD_S = 20
CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 1, 3, 8, 14


class Broker:
    """As much of MQTT 3.1.1 as a client that publishes at QoS 0 needs. `events` has what happened, in order.

    With `ends_first` its first connection takes nothing after the greeting, and ends when that is set.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        answer: int = 0,
        tls: ssl.SSLContext | None = None,
        ends_first: threading.Event | None = None,
    ) -> None:
        self._ends_first = ends_first
        self._server = socket.create_server(("127.0.0.1", port))
        self._tls = tls
        self.port = self._server.getsockname()[1]
        self._answer = answer
        self.events: Queue[tuple] = Queue()
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            if self._tls is not None:
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except OSError:
                    self.events.put(("no handshake",))
                    continue
            with connection, connection.makefile("rb") as stream:
                try:
                    while self._packet(connection, stream):
                        pass
                except OSError:
                    pass

    def _packet(self, connection, stream) -> bool:
        head = stream.read(1)
        if not head:
            return False
        length, shift = 0, 0
        while True:
            (byte,) = stream.read(1)
            length, shift = length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        body = stream.read(length)
        if head[0] >> 4 == CONNECT:
            self.events.put(("connect", body))
            connection.sendall(bytes([0x20, 2, 0, self._answer]))
            if self._ends_first is not None and not self._ends_first.is_set():
                return not self._ends_first.wait(GUARD_S)
        elif head[0] >> 4 == PUBLISH:
            size = int.from_bytes(body[:2], "big")
            self.events.put(("publish", head[0] & 15, body[2 : 2 + size].decode(), json.loads(body[2 + size :])))
        elif head[0] >> 4 == SUBSCRIBE:
            size = int.from_bytes(body[2:4], "big")
            connection.sendall(bytes([0x90, 3, *body[:2], body[-1]]))
            self.events.put(("subscribe", body[4 : 4 + size].decode()))
        elif head[0] >> 4 == DISCONNECT:
            self.events.put(("disconnect",))
        return True

    def send(self, topic: str, message: bytes, *, retain: bool = False) -> None:
        """Publish to the newest client, at QoS 0."""
        body = len(topic).to_bytes(2, "big") + topic.encode() + message
        assert len(body) < 128
        self._connections[-1].sendall(bytes([0x30 | retain, len(body)]) + body)

    def next(self, kind: str) -> tuple:
        event = self.events.get(timeout=GUARD_S)
        assert event[0] == kind
        return event

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._thread.join(GUARD_S)
        assert not self._thread.is_alive()
