"""Connection: a client's HTTP connection with limits on time, headers and bodies; nothing a client sends is logged."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from fer_deploy.live.events.message import MAX_MESSAGE_BYTES
from fer_deploy.live.serve.access import EVENTS_PATH, SECURITY_HEADERS
from fer_deploy.live.serve.slots import Slots, client_address

_log = logging.getLogger(__name__)
FIRST_REQUEST_S = 10.0
"""Limit from the connection to its first complete request."""
NEXT_REQUEST_S = 30.0
"""Limit from one handled request to the next complete one; it includes sending the response."""
_MAX_HEADERS = 64
_QUIET_S = 60.0
"""Interval at which the same failure of the server is logged again."""
_REFUSALS: Final = {
    413: f"413: the page accepts no request body, but for POST {EVENTS_PATH} of at most {MAX_MESSAGE_BYTES} bytes.\n",
    417: "417: the page accepts no request body, and so no Expect header.\n",
}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """aiohttp's connection, but it reads no body except a small event, decompresses nothing, and logs nothing of it.

    Attributes:
        address, is_known, is_idle: see `slots.Client`.
    """

    def __init__(self, server: web.Server, slots: Slots) -> None:
        """Create the connection of one client."""
        self._loop_of_timer = asyncio.get_running_loop()
        no_log: Any = None  # a URL may contain the token
        super().__init__(
            server,
            loop=self._loop_of_timer,
            access_log=no_log,
            keepalive_timeout=NEXT_REQUEST_S,
            auto_decompress=False,
            lingering_time=0,
            max_headers=_MAX_HEADERS,
        )
        self.address, self.is_known, self.is_idle = "", False, True
        self._slots = slots
        self._wire: asyncio.Transport | None = None  # aiohttp drops its own reference before all is sent
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter a slot and wait for the first request; drop the connection if no slot is free."""
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self.address = client_address(transport.get_extra_info("peername"))
        super().connection_made(transport)
        if self._slots.enter(self):
            self._wait_at_most(FIRST_REQUEST_S)
        else:
            self.drop()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the slot."""
        self._stop_timer()
        self._slots.leave(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close at once, without a response; unsent data is lost."""
        self._stop_timer()
        self.force_close()
        if self._wire is not None:
            self._wire.abort()

    async def handle(self, request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        """Answer a request whose headers are complete; a body that is no small event is refused before it is read."""
        status = _refused_with(request)
        if status is not None:
            return _final_answer(status, _REFUSALS[status])
        self._stop_timer()
        self.is_idle = False
        try:
            return await handler(request)
        finally:
            self.is_idle = True
            if self.connected:
                self._wait_at_most(NEXT_REQUEST_S)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer invalid HTTP with its status, and repeat nothing of the request: it may contain the token."""
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun already")
        _log.debug("a request was refused with %d: %s", status, type(exc).__name__)
        return _final_answer(status, f"{status}: not a valid request.\n")

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Log one line a minute instead of a traceback for each failure."""
        err = kwargs.get("exc_info")
        context = {"message": "a connection failed", "exception": err if isinstance(err, Exception) else None}
        self._loop_of_timer.call_exception_handler(context)

    def _wait_at_most(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self._loop_of_timer.call_later(seconds, self.drop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def make_connections(server: web.Server) -> Callable[[], Connection]:
    """Return a factory of `Connection` for the clients of a server; call it before the server listens."""
    handler: Handler = server.request_handler

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request.protocol, Connection)
        return await request.protocol.handle(request, handler)

    server.request_handler = handle
    slots = Slots()
    return lambda: Connection(server, slots)


def _refused_with(request: web.BaseRequest) -> int | None:
    """Return the status to refuse a request with, or None."""
    length = request.headers.get("Content-Length", "0").strip()
    has_body = request.body_exists or "Transfer-Encoding" in request.headers or length.strip("0")
    if has_body and not (_may_have_body(request) and 0 < int(length) <= MAX_MESSAGE_BYTES):
        return 413
    return 417 if "Expect" in request.headers else None


def _may_have_body(request: web.BaseRequest) -> bool:
    """Return whether a request is an event whose length is known."""
    is_event = request.method == "POST" and request.path == EVENTS_PATH
    length = request.headers.get("Content-Length", "").strip()
    return is_event and "Transfer-Encoding" not in request.headers and length.isascii() and length.isdecimal()


def _final_answer(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=text, headers={**SECURITY_HEADERS, "Server": "fer-deploy"})
    response.force_close()
    return response


class QuietTrouble:
    """Logs the server's failures: one line for each kind, at most once a minute."""

    def __init__(self) -> None:
        self._told_s: dict[tuple[str, str], float] = {}

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """See `asyncio.AbstractEventLoop.set_exception_handler`; `context` may have the `path` of a request."""
        message, err, now_s = str(context.get("message")), context.get("exception"), time.monotonic()
        kind = message, type(err).__name__
        if now_s - self._told_s.get(kind, -_QUIET_S) >= _QUIET_S:
            self._told_s[kind] = now_s
            words = [message, context.get("path"), err and kind[1], err and str(err)]
            _log.error("the web page's server: %s", one_line(": ".join(filter(None, words))))


def one_line(text: str) -> str:
    """Return a text for the log, with line breaks and control characters escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
