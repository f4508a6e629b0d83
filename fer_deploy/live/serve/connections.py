"""Connections: how many may be open, how long one may say nothing, and what is answered to what is no HTTP."""

import asyncio
import logging
import time
from typing import Any

from aiohttp import web

from fer_deploy.live.serve.access import SECURITY_HEADERS

_log = logging.getLogger(__name__)
MAX_CONNECTIONS = 64
"""Of all clients, whether they know the token or not: cameras need file descriptors of the same process."""
FIRST_REQUEST_S = 10.0
"""What a client has from its connection to its first whole request."""
_KEEPALIVE_S = 30.0
_QUIET_S = 60.0
"""How often the same trouble of the server is logged."""


def make_protocol(server: web.Server) -> asyncio.Protocol:
    """Return what serves a new connection, or closes it where there are enough."""
    return _Surplus() if len(server.connections) >= MAX_CONNECTIONS else Connection(server)


class Connection(web.RequestHandler):
    """aiohttp's, which is patient and talkative: it would log a garbled request with the token in it."""

    def __init__(self, server: web.Server) -> None:
        """Serve one client of this server."""
        self._loop_of_timer = asyncio.get_running_loop()
        no_log: Any = None  # the token may stand in an address
        super().__init__(server, loop=self._loop_of_timer, access_log=no_log, keepalive_timeout=_KEEPALIVE_S)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._timer = self._loop_of_timer.call_later(FIRST_REQUEST_S, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait no longer."""
        self.note_request()
        super().connection_lost(exc)

    def note_request(self) -> None:
        """A whole request has come."""
        if self._timer is not None:
            self._timer.cancel()

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:  # fmt: skip
        """Answer what cannot be served with its number, and repeat nothing of it: it may hold the token."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        _log.debug("a request was refused with %d: %s", status, type(exc).__name__)
        response = web.Response(
            status=status, text=f"{status}: this is no request for the page.\n",
            headers={**SECURITY_HEADERS, "Server": "fer-deploy"},
        )  # fmt: skip
        response.force_close()
        return response


class _Surplus(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class QuietTrouble:
    """Handles what goes wrong in an event loop outside any request: a line each minute, not a traceback each time."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """See `asyncio.AbstractEventLoop.set_exception_handler`."""
        message, now_s = str(context.get("message")), time.monotonic()
        if now_s - self._told_s.get(message, -_QUIET_S) >= _QUIET_S:
            self._told_s[message] = now_s
            _log.error("the web page's server: %s: %s", message, context.get("exception", ""))
