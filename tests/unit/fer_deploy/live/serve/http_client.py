"""Plain requests to a served page, with just the headers that a test names."""

import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


def get(url: str, path: str = "/", *, method="GET", **headers: str) -> Answer:
    """Ask for a path of the server at `url`, whose own path and token are left out."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
    finally:
        connection.close()


async def next_of(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict:
    """Return the next JSON message of a kind; pictures and others are passed over."""
    while True:
        message = await socket.receive(timeout=20)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        if message.type is aiohttp.WSMsgType.TEXT and (value := message.json())["type"] == kind:
            return value
