"""Viewer: one open page. It gets the newest frame when it is ready; frames never queue up."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, WSMsgType, web

from fer_deploy.live.serve.feed import Feed
from fer_deploy.live.serve.messages import MAX_REQUEST_BYTES, hello_json, request_from_json, result_json
from fer_deploy.vision.types import FrameResult

_STATUS_PERIOD_S = 1.0
_HEARTBEAT_S = 10.0
_CLOSE_TIMEOUT_S = 0.5
_WRITE_LIMIT_BYTES = 2**16
"""Above this number of unsent bytes a send waits; meanwhile newer frames replace older ones."""


class Viewer:
    """Serves one page over a WebSocket; runs in the event loop.

    The page requests the next picture when it has drawn one. So a slow phone or network gets fewer but recent pictures,
    and a hidden page none. Results and status are small and always sent.
    """

    def __init__(self, feed: Feed, labels: tuple[str, ...], status: Callable[[], Awaitable[str]]) -> None:
        """Show `feed` to a page, and `status` once a second."""
        self._feed, self._labels, self._status = feed, labels, status
        self._socket = web.WebSocketResponse(
            timeout=_CLOSE_TIMEOUT_S,
            heartbeat=_HEARTBEAT_S,
            compress=False,
            max_msg_size=MAX_REQUEST_BYTES,
            writer_limit=_WRITE_LIMIT_BYTES,
        )
        self._source = 0
        self._wants_picture = True

    async def run(self, request: web.Request, run: str) -> web.WebSocketResponse:
        """Serve the page until it leaves or the server ends.

        Raises:
            HTTPBadRequest: not a WebSocket handshake, or one that asks for a subprotocol.
        """
        await self._open(request)
        self._feed.join()
        tasks = {asyncio.create_task(self._send(run)), asyncio.create_task(self._receive())}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._feed.leave()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in ended:
            err = task.exception()
            if not isinstance(err, ConnectionError | None):  # ConnectionError: the page was closed
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a page's stream failed", "exception": err}
                )
                await self._socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"the server failed")
        return self._socket

    async def refuse(self, request: web.Request, reason: str) -> web.WebSocketResponse:
        """Close with a reason. Browsers hide why a handshake failed, but report why a WebSocket was closed."""
        await self._open(request)
        await self._socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason.encode())
        return self._socket

    async def end(self) -> None:
        """Close the WebSocket because the server ends."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the loop has ended")

    async def _open(self, request: web.Request) -> None:
        if "Sec-WebSocket-Protocol" in request.headers:  # aiohttp would log a line for each request
            raise web.HTTPBadRequest(text="400: the page has no WebSocket subprotocol.\n")
        await self._socket.prepare(request)

    async def _receive(self) -> None:
        async for message in self._socket:
            try:
                if message.type is not WSMsgType.TEXT:
                    raise ValueError("expected text")
                asked = request_from_json(message.data)
            except ValueError as err:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=str(err).encode()[:100])
                return
            self._source = self._source if asked.source is None else asked.source
            self._wants_picture |= asked.ready

    async def _send(self, run: str) -> None:
        """Send results, pictures and status until the connection breaks."""
        loop = asyncio.get_running_loop()
        await self._socket.send_str(hello_json(self._labels, run))
        sent: FrameResult | None = None
        status_due_s = loop.time()
        while True:
            ticks = self._feed.num_ticks
            if loop.time() >= status_due_s:
                status_due_s = loop.time() + _STATUS_PERIOD_S
                await self._socket.send_str(await self._status())
            result = self._feed.shown(self._source)
            if result is not None and result is not sent:
                sent = result
                await self._send_result(result)
            await self._feed.wait_tick(ticks, timeout_s=max(0.0, status_due_s - loop.time()))

    async def _send_result(self, result: FrameResult) -> None:
        with_picture, self._wants_picture = self._wants_picture, False
        jpeg = await self._feed.jpeg(result) if with_picture else None
        await self._socket.send_str(result_json(result, self._labels, with_picture=with_picture))
        if jpeg is not None:
            await self._socket.send_bytes(jpeg)
