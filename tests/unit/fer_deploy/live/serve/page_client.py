"""What a page in a browser does, for tests: open the socket, take pictures; and what the server counts."""

from contextlib import asynccontextmanager

import aiohttp
import cv2
import numpy as np
from unit.fer_deploy.live.serve.http_client import get


@asynccontextmanager
async def watching(url: str):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}live", timeout=quick_close()) as page:
        yield page


def quick_close():
    return aiohttp.ClientWSTimeout(ws_close=1.0)


async def next_picture(page: aiohttp.ClientWebSocketResponse) -> tuple[dict, np.ndarray]:
    """Return the next picture with the result that announced it, the message right before it."""
    before = None
    while True:
        message = await page.receive(timeout=20)
        if message.type is aiohttp.WSMsgType.BINARY:
            return before, cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        before = message.json()


def metric(url: str, name: str) -> float:
    lines = [line for line in get(url, "/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[1])
