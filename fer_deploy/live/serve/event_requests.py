"""EventRequests: note the events of programs and of the page: POST /events, and GET /events for the open ones."""

import asyncio
import json
from concurrent.futures import Executor
from typing import Any, Final

from aiohttp import web

from fer_deploy.errors import SinkError
from fer_deploy.live.events.event_log import EventLog, Noted
from fer_deploy.live.events.message import EventRefused, MalformedEvent, event_from_json
from fer_deploy.live.serve.access import Access

BODY_S: Final = 5.0
"""Limit for the body after its headers."""
_DIGITS: Final = 4
_NO_FILE: Final = "events are not written in this run. Fix: start it with --events-out events.csv"


class EventRequests:
    """Handlers of one server. They run in its event loop, and the log in the executor: it writes a file."""

    def __init__(self, log: EventLog | None, access: Access, executor: Executor) -> None:
        """Note events in a log; None: they are refused."""
        self._log, self._access, self._executor = log, access, executor

    async def post(self, request: web.Request) -> web.Response:
        """Note an event: {"label": ..., "state": "start", "end" or "mark"}; source is optional."""
        self._access.require_same_origin(request)
        if request.content_type != "application/json":  # which browsers send to another site only after they ask
            return _refused(415, "expected Content-Type: application/json. Fix: curl --json '{...}'")
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.read()
            return _answer(200, _told(await self._noted(body)))
        except TimeoutError:
            return _refused(408, f"the event did not come within {BODY_S:g} s. Fix: send it at once")
        except MalformedEvent as err:
            return _refused(400, str(err))
        except EventRefused as err:
            return _refused(409, str(err))
        except SinkError as err:
            return _refused(507, str(err))

    async def _noted(self, body: bytes) -> Noted:
        if self._log is None:
            raise EventRefused(_NO_FILE)
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._log.note, event_from_json(body))

    async def get(self, request: web.Request) -> web.Response:
        """Return the labels that the user named, and the open events with the seconds since each began."""
        if self._log is None:
            return _answer(200, {"written": False, "labels": [], "open": {}})
        seconds = await asyncio.get_running_loop().run_in_executor(self._executor, self._log.open_events)
        known = {label: round(passed_s, _DIGITS) for label, passed_s in seconds.items()}
        return _answer(200, {"written": True, "labels": list(self._log.names), "open": known})


def _told(noted: Noted) -> dict[str, Any]:
    times = {str(source): round(time_s, _DIGITS) for source, time_s in noted.times_s.items()}
    return {"label": noted.message.label, "state": noted.message.state, "time_s": times}


def _refused(status: int, reason: str) -> web.Response:
    return _answer(status, {"error": reason})


def _answer(status: int, content: dict[str, Any]) -> web.Response:
    return web.Response(status=status, text=f"{json.dumps(content)}\n", content_type="application/json")
