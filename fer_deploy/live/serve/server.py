"""LiveServer: the web server's thread with its own event loop."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from aiohttp import web

from fer_deploy.errors import SinkError
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.serve.access import Access, new_token, require_good_token
from fer_deploy.live.serve.address import Address, address_from_text, bound_address, is_loopback, listen, reachable_host
from fer_deploy.live.serve.app import LiveApp
from fer_deploy.live.serve.connections import QuietTrouble, make_connections
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.vision.types import FrameResult

_SHUTDOWN_S = 0.5
"""Time for a page to close its connection; then it is cut."""
_JOIN_S = 5.0
_NUM_BLOCKING = 2
"""Threads for blocking work: one may wait for a snapshot while the other encodes JPEGs."""


class LiveServer:
    """Listens from its construction to `close`. The owner's thread calls `publish` and `close`.

    Attributes:
        url: URL for a browser, with the token if there is one.
        shown_url: URL to print; without a token that the user chose.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None,
        snapshot: Callable[[], LiveSnapshot],
        labels: tuple[str, ...],
        emotions: Callable[[], Mapping[str, int]],
        events: EventLog | None = None,
    ) -> None:
        """Listen, and start the thread.

        Raises:
            ConfigError: the address or the token is invalid.
            SinkError: the address is not available.
        """
        wanted = address_from_text(address)
        is_chosen = token is not None
        token = None if token is None else require_good_token(token)
        self._listener = listen(wanted)
        bound = bound_address(self._listener)
        if token is None and not is_loopback(bound.host):
            token = new_token()
        access = Access(token, bound.host, bound.port)
        place = f"http://{Address(reachable_host(bound.host), bound.port)}/"
        self.url = f"{place}{access.query()}"
        self.shown_url = f"{place} (it asks for your token: add ?token=TOKEN)" if is_chosen else self.url
        self._is_ready = threading.Event()
        self._failure: BaseException | None = None
        self._app: LiveApp | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        build = partial(LiveApp, access, snapshot=snapshot, labels=labels, emotions=emotions, events=events)
        self._thread = threading.Thread(target=self._run, args=(build,), name="serve")
        self._thread.start()
        self._is_ready.wait()
        self._require_running()

    def publish(self, result: FrameResult) -> None:
        """Show a result to all viewers; returns at once.

        Raises:
            SinkError: the server has failed.
        """
        self._require_running()
        assert self._app is not None
        self._app.note_result()
        self._app.feed.publish(result)

    def close(self) -> None:
        """Close the connections of all pages, and end the thread.

        Raises:
            SinkError: the server had failed before, or does not end.
        """
        if self._failure is None and self._loop is not None and self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            raise SinkError(f"the web page's server did not end within {_JOIN_S:.0f} s. Fix: kill the process")
        self._require_running()

    def _require_running(self) -> None:
        if self._failure is not None:
            raise SinkError(
                f"the web page's server failed: {type(self._failure).__name__}: {self._failure}. "
                "Fix: run without --serve, and report this"
            ) from self._failure

    def _run(self, build: Callable[[Executor], LiveApp]) -> None:
        try:
            with ThreadPoolExecutor(_NUM_BLOCKING, "serve-blocking") as executor, asyncio.Runner() as runner:
                runner.run(self._serve(build, executor))
        except Exception as err:  # noqa: BLE001 - a thread ends here; the sink's thread raises it
            self._failure = err
        finally:
            self._listener.close()
            self._is_ready.set()

    async def _serve(self, build: Callable[[Executor], LiveApp], executor: ThreadPoolExecutor) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._app = build(executor)
        self._loop.set_exception_handler(QuietTrouble())
        runner = web.AppRunner(
            self._app.web_app, handle_signals=False, shutdown_timeout=_SHUTDOWN_S, access_log=None
        )  # an access log would contain the token
        await runner.setup()
        assert runner.server is not None
        try:
            async with await self._loop.create_server(make_connections(runner.server), sock=self._listener):
                self._is_ready.set()
                await self._ending.wait()
        finally:
            await runner.cleanup()
