"""RtspServer: H.264 over RTP, interleaved in the RTSP connection (RFC 2326, 6184), as IP cameras send it."""

import itertools
import re
import socket
import struct
from collections.abc import Iterator

import av
import numpy as np
from integration.camera_server import CameraServer, picture

_CLOCK_HZ = 90_000
_TICKS = _CLOCK_HZ // 50
_PAYLOAD_TYPE = 96
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
_SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=framerate:50\r\n"
    b"a=control:track0\r\n"
)


class H264:
    """Encodes pictures of one size, each at once, every tenth a key frame with its parameter sets."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._codec = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height = size
        self._codec.pix_fmt = "yuv420p"
        self._codec.framerate = 50
        self._codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "g": "10",
            "x264-params": "repeat-headers=1",
        }

    def units(self, pixels: np.ndarray) -> Iterator[bytes]:
        """Yield the NAL units of a picture."""
        for packet in self._codec.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")):
            yield from filter(None, _START_CODE.split(bytes(packet)))


class RtspServer(CameraServer):
    """One track of H.264; a NAL unit a packet, since an interleaved one may have 64 kB."""

    def url(self, login: str = "") -> str:
        """Return the address, with a login if given."""
        return f"rtsp://{login + '@' if login else ''}127.0.0.1:{self.port}/cam"

    def talk(self, client: socket.socket) -> None:
        """Answer up to PLAY, then send pictures; what the client says meanwhile is not heard."""
        while True:
            request = self.read_request(client)
            method = request.split(b" ", 1)[0]
            sequence = re.search(rb"CSeq: *(\d+)", request, re.IGNORECASE)
            assert sequence is not None
            status, head, body = b"200 OK", b"", b""
            if method != b"OPTIONS" and not self.is_allowed(request):
                status, head = b"401 Unauthorized", b'WWW-Authenticate: Basic realm="cam"\r\n'
            elif method == b"OPTIONS":
                head = b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == b"DESCRIBE":
                head, body = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n" % len(_SDP), _SDP
            elif method == b"SETUP":
                head = b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            client.sendall(b"RTSP/1.0 %s\r\nCSeq: %s\r\n%s\r\n%s" % (status, sequence[1], head, body))
            if method == b"PLAY" and status == b"200 OK":
                self._play(client)
                return

    def _play(self, client: socket.socket) -> None:
        encoder, size, level, number = None, self.size, 0, 0
        for tick in itertools.count():
            if not self.is_wanted():
                return
            if self.mode == "silent":
                continue
            if encoder is None or size != self.size:
                encoder, size = H264(self.size), self.size
            level += self.mode != "still"
            units = list(encoder.units(picture(level, width=size[0], height=size[1])))
            for position, unit in enumerate(units):
                damaged = self.mode == "garbage" or (self.mode == "damaged" and level % 2)
                payload = unit[:1] + np.random.default_rng(number).bytes(len(unit) - 1) if damaged else unit
                marker = 0x80 if position == len(units) - 1 else 0
                head = struct.pack(
                    ">BBHII", 0x80, marker | _PAYLOAD_TYPE, number & 0xFFFF, tick * _TICKS & 0xFFFFFFFF, 1
                )
                client.sendall(struct.pack(">cBH", b"$", 0, len(head) + len(payload)) + head + payload)
                number += 1
