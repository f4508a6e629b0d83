"""The aiohttp application: page, WebSocket, metrics, health and events, behind `Access`."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from importlib import resources
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.serve.access import EVENTS_PATH, HEALTH_PATH, PAGE_PATH, Access, add_security_headers
from fer_deploy.live.serve.event_requests import EventRequests
from fer_deploy.live.serve.feed import Feed
from fer_deploy.live.serve.health import Health, health_of
from fer_deploy.live.serve.messages import status_json
from fer_deploy.live.serve.metrics import PageCounts, exposition
from fer_deploy.live.serve.viewer import Viewer
from fer_deploy.live.stats import LiveSnapshot

MAX_VIEWERS = 16
MAX_AGE_S = 0.5
"""Maximum age of the shared snapshot."""
_CONTENT_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class LiveApp:
    """The routes and their shared state. Runs in the event loop, except `note_result`.

    Attributes:
        feed: receives the results.
        web_app: for an aiohttp runner.
    """

    def __init__(
        self,
        access: Access,
        executor: Executor,
        *,
        snapshot: Callable[[], LiveSnapshot],
        labels: tuple[str, ...],
        emotions: Callable[[], Mapping[str, int]],
        events: EventLog | None = None,
    ) -> None:
        """Create the application; `snapshot` returns the loop's state, `emotions` the counts of shown labels."""
        self.feed = Feed(asyncio.get_running_loop(), executor)
        self._access, self._executor, self._labels, self._emotions = access, executor, labels, emotions
        self._snapshots = RecentSnapshot(snapshot, executor)
        self._viewers: set[Viewer] = set()
        self._run = secrets.token_hex(8)
        self._last_result_s = time.monotonic()
        self.web_app = web.Application(middlewares=[_plain_failures, access.guard])
        self.web_app.router.add_get(HEALTH_PATH, self._healthz)
        self.web_app.router.add_get("/metrics", self._metrics)
        self.web_app.router.add_get("/live", self._live, allow_head=False)
        events_of = EventRequests(events, access, executor)
        self.web_app.router.add_get(EVENTS_PATH, events_of.get, allow_head=False)
        self.web_app.router.add_post(EVENTS_PATH, events_of.post)
        for name, content in _page_files().items():  # a fixed list: requests never choose a path on the disk
            path = PAGE_PATH if name == "index.html" else f"/{name}"
            self.web_app.router.add_get(path, _file_handler(name, content))
        self.web_app.on_response_prepare.append(add_security_headers)
        self.web_app.on_shutdown.append(self._end_viewers)

    def note_result(self) -> None:
        """Record that the loop is alive; callable from any thread."""
        self._last_result_s = time.monotonic()

    async def _health(self) -> tuple[LiveSnapshot, Health]:
        snapshot = await self._snapshots.get()
        return snapshot, health_of(snapshot, time.monotonic() - self._last_result_s)

    async def _healthz(self, _: web.Request) -> web.Response:
        health = (await self._health())[1]
        return web.Response(status=503 if health is Health.FAILED else 200, text=f"{health}\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        snapshot, health = await self._health()
        counts = PageCounts(self._emotions(), len(self._viewers), self.feed.num_encoded)
        body, content_type = exposition(snapshot, health, counts, accept=request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _status(self) -> str:
        snapshot, health = await self._health()
        return status_json(snapshot, health)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        self._access.require_same_origin(request)
        viewer = Viewer(self.feed, self._labels, self._status)
        if len(self._viewers) >= MAX_VIEWERS:
            return await viewer.refuse(request, f"{MAX_VIEWERS} pages are open already")
        self._viewers.add(viewer)
        try:
            return await viewer.run(request, self._run)
        finally:
            self._viewers.discard(viewer)

    async def _end_viewers(self, _: web.Application) -> None:
        # A page in its handshake cannot receive a close frame; this failure must not affect the other pages.
        await asyncio.gather(*(viewer.end() for viewer in self._viewers), return_exceptions=True)


class RecentSnapshot:
    """Shares one snapshot among viewers, scrapes and health checks: its percentiles cost milliseconds."""

    def __init__(self, take: Callable[[], LiveSnapshot], executor: Executor) -> None:
        """Take snapshots in `executor`, not in the event loop."""
        self._take, self._executor = take, executor
        self._taken_s = float("-inf")
        self._taking: asyncio.Future[LiveSnapshot] | None = None

    async def get(self) -> LiveSnapshot:
        """Return a snapshot that was taken at most `MAX_AGE_S` ago, or is being taken now."""
        loop = asyncio.get_running_loop()
        if self._taking is None or (self._taking.done() and loop.time() - self._taken_s > MAX_AGE_S):
            self._taken_s = loop.time()
            self._taking = loop.run_in_executor(self._executor, self._take)
        return await asyncio.shield(self._taking)


@web.middleware
async def _plain_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every request, even if the loop's state cannot be read; the log gets no traceback."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception as err:  # noqa: BLE001 - a request ends here, and the server continues
        context = {"message": "it could not answer a request", "exception": err, "path": request.path}
        asyncio.get_running_loop().call_exception_handler(context)
        return web.Response(status=500, text="500: the server failed; see its log.\n")


def _page_files() -> dict[str, bytes]:
    folder = resources.files("fer_deploy.live.serve") / "page"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def _file_handler(name: str, content: bytes) -> Handler:
    content_type = _CONTENT_TYPES[name[name.rindex(".") :]]

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type, charset="utf-8")

    return serve
