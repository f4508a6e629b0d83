"""MjpegServer: MJPEG over HTTP, as webcams and microcontrollers send it."""

import socket

import cv2
import numpy as np
from integration.camera_server import CameraServer, picture

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n%s\r\n"
_REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=cam\r\nContent-Length: 0\r\n\r\n"


def jpeg(level: int, *, width: int = 64, height: int = 48) -> bytes:
    """Return an encoded picture."""
    ok, content = cv2.imencode(".jpg", picture(level, width=width, height=height))
    assert ok
    return content.tobytes()


class MjpegServer(CameraServer):
    """`GET` anything. `extra_head` goes into the answer's head."""

    extra_head = b""

    def url(self, login: str = "", query: str = "") -> str:
        """Return the address, with a login and a query if given."""
        return f"http://{login + '@' if login else ''}127.0.0.1:{self.port}/cam{query}"

    def talk(self, client: socket.socket) -> None:
        """Send pictures in parts."""
        if not self.is_allowed(self.read_request(client)):
            client.sendall(_REFUSAL)
            return
        client.sendall(_HEAD % self.extra_head)
        level = 0
        while self.is_wanted():
            level += self.mode != "still"
            if self.mode == "garbage":
                client.sendall(np.random.default_rng(level).bytes(2000))
            elif self.mode != "silent":
                content = jpeg(level, width=self.size[0], height=self.size[1])
                if self.mode == "damaged" and level % 2:
                    content = content[: len(content) // 2]
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(content)
                client.sendall(head + content + b"\r\n")
