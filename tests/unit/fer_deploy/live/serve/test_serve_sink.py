"""The sink from outside: a loop that writes, and pages that watch over real WebSockets."""

import asyncio
import gc
import http.client
import os
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import aiohttp
import pytest
from unit.fer_deploy.live.serve.http_client import get, next_of
from unit.fer_deploy.live.serve.page_client import next_picture, quick_close, watching
from unit.fer_deploy.live.serve.stage import LABELS, Actor, endless, make_result, make_snapshot, serving

from fer_deploy.errors import ConfigError, MissingDependencyError, SinkError
from fer_deploy.live.serve import ServeSink
from fer_deploy.live.serve.viewer import Viewer


def unread_page(url: str) -> socket.socket:
    """Open a page's WebSocket, and read no further than its handshake."""
    place = urlsplit(url)
    page = socket.create_connection((place.hostname, place.port), timeout=20)
    page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    page.sendall(
        f"GET /live HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert page.recv(12) == b"HTTP/1.1 101"
    return page


def test_a_page_that_reads_nothing_holds_nobody_up():
    async def scenario(url):
        async with watching(url) as page:
            return [(await next_of(page, "result"))["frame"] for _ in range(10)]

    with serving() as sink, Actor(sink, endless(num_people=40)), unread_page(sink.url):
        frames = asyncio.run(scenario(sink.url))
        assert frames == sorted(set(frames))


@pytest.mark.parametrize("num_pages", [0, 3])
def test_closing_takes_leave_of_every_page(num_pages):
    async def last_words(page):
        while (message := await page.receive(timeout=20)).type is not aiohttp.WSMsgType.CLOSE:
            pass
        return message.data, message.extra

    async def scenario(sink):
        async with aiohttp.ClientSession() as session:
            pages = [await session.ws_connect(f"{sink.url}live", timeout=quick_close()) for _ in range(num_pages)]
            await asyncio.gather(*(next_of(page, "hello") for page in pages))
            closing = asyncio.create_task(asyncio.to_thread(sink.close))
            words = await asyncio.gather(*(last_words(page) for page in pages))
            await closing
            return words

    sink = ServeSink("127.0.0.1:0", token=None, snapshot=make_snapshot, labels=LABELS)
    assert asyncio.run(scenario(sink)) == [(aiohttp.WSCloseCode.GOING_AWAY, "the loop has ended")] * num_pages
    with pytest.raises(ConnectionRefusedError):
        get(sink.url)


def test_a_page_in_its_handshake_costs_no_other_its_farewell(monkeypatch):
    has_come = threading.Event()

    async def shake_hands_forever(self, request, run):
        has_come.set()
        await asyncio.sleep(3600)

    async def scenario(sink):
        async with watching(sink.url) as page:
            await next_of(page, "hello")
            monkeypatch.setattr(Viewer, "run", shake_hands_forever)
            late = asyncio.create_task(asyncio.to_thread(get, sink.url, "/live"))
            await asyncio.to_thread(has_come.wait)
            await asyncio.to_thread(sink.close)
            while (message := await page.receive(timeout=20)).type is not aiohttp.WSMsgType.CLOSE:
                pass
            with pytest.raises((OSError, http.client.HTTPException)):
                await late
            return message.data

    sink = ServeSink("127.0.0.1:0", token=None, snapshot=make_snapshot, labels=LABELS)
    assert asyncio.run(scenario(sink)) == aiohttp.WSCloseCode.GOING_AWAY


def test_closing_cuts_a_page_that_reads_nothing():
    with serving() as sink, unread_page(sink.url) as page:
        for index in range(20):
            sink.write(make_result(index, num_people=40), None)
        sink.close()
        while page.recv(65_536):
            pass
        sink.close = lambda: None  # `serving` would close it a second time


def test_twenty_times_open_and_closed_nothing_is_left():
    async def look(url):
        async with watching(url) as page:
            await next_picture(page)

    def once():
        with serving() as sink:
            sink.write(make_result(1), None)
            asyncio.run(look(sink.url))
            assert get(sink.url, "/metrics").status == 200

    def resources():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    once()  # what is imported and cached at first stays
    before = resources()
    for _ in range(20):
        once()
    assert resources() == before


def test_a_port_can_be_had_again_at_once():
    with serving() as sink:
        address = urlsplit(sink.url).netloc
        assert get(sink.url).status == 200
    with serving(address) as again:
        assert get(again.url).status == 200


def test_a_taken_port_is_an_error():
    with serving() as sink:
        address = urlsplit(sink.url).netloc
        with pytest.raises(
            SinkError, match=rf"cannot serve at {address}: Address already in use. Fix: another --serve"
        ):
            ServeSink(address, token=None, snapshot=make_snapshot, labels=LABELS)


def test_no_address_is_an_error():
    with pytest.raises(ConfigError, match="cannot serve at 'here': 'here' is not a port"):
        ServeSink("here", token=None, snapshot=make_snapshot, labels=LABELS)


@pytest.mark.parametrize("package", ["aiohttp", "prometheus_client"])
def test_without_the_extra_the_error_names_it(monkeypatch, package):
    for name in [name for name in sys.modules if name.startswith(("fer_deploy.live.serve.", package))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    pattern = rf"cannot serve a web page: {package}.* is not installed. Fix: pip install 'fer-toolchain\[serve\]'"
    with pytest.raises(MissingDependencyError, match=pattern):
        ServeSink("127.0.0.1:0", token=None, snapshot=make_snapshot, labels=LABELS)


def test_importing_the_sink_imports_no_server():
    code = "import sys, fer_deploy.live.serve; sys.exit('aiohttp' in sys.modules or 'prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_emotions_are_counted_as_shown_and_start_at_zero():
    with serving() as sink:
        assert 'fer_live_emotions_total{emotion="happy"} 0.0' in get(sink.url, "/metrics").text
        for index in range(3):
            sink.write(make_result(index, num_people=2, label="happy"), None)
        text = get(sink.url, "/metrics").text
    assert 'fer_live_emotions_total{emotion="happy"} 6.0' in text
    assert 'fer_live_emotions_total{emotion="unsure"} 0.0' in text


@pytest.mark.parametrize(
    ("snapshot", "status", "word"),
    [
        (make_snapshot(), 200, "ok"),
        (make_snapshot(failure="disk full"), 200, "degraded"),
        (make_snapshot(state="reconnecting"), 503, "failed"),
    ],
)
def test_health(snapshot, status, word):
    with serving(snapshot=lambda: snapshot) as sink:
        answer = get(sink.url, "/healthz")
    assert (answer.status, answer.text) == (status, f"{word}\n")


def test_the_server_goes_on_while_it_waits_for_the_loop():
    asked, answered = threading.Event(), threading.Event()

    def snapshot():
        asked.set()
        assert answered.wait(20)
        return make_snapshot()

    async def look(url):
        async with aiohttp.ClientSession() as session:
            health = asyncio.create_task(session.get(f"{url}healthz"))
            assert await asyncio.to_thread(asked.wait, 20)
            async with session.get(f"{url}page.js") as page:
                assert page.status == 200
            assert not health.done()
            answered.set()
            async with await health as answer:
                return answer.status

    with serving(snapshot=snapshot) as sink:
        assert asyncio.run(look(sink.url)) == 200


def test_a_loop_that_cannot_tell_its_state_is_one_line_and_no_traceback(caplog):
    async def scenario(url):
        async with watching(url) as page:
            while (message := await page.receive(timeout=20)).type is not aiohttp.WSMsgType.CLOSE:
                pass
            return message.data

    def snapshot():
        raise IndexError("no loop yet")

    with serving(snapshot=snapshot) as sink:
        answer = get(sink.url, "/healthz")
        assert (answer.status, answer.text) == (500, "500: the server failed; see its log.\n")
        assert asyncio.run(scenario(sink.url)) == aiohttp.WSCloseCode.INTERNAL_ERROR
        assert get(sink.url).status == 200
    assert [record.getMessage() for record in caplog.records] == [
        "the web page's server: it could not answer a request: /healthz: IndexError: no loop yet",
        "the web page's server: a page's stream failed: IndexError: no loop yet",
    ]
    assert not any(record.exc_info for record in caplog.records)


def test_a_server_that_fails_is_a_failed_sink(monkeypatch):
    from aiohttp import web  # noqa: PLC0415 - as the package does

    async def fail(self):
        raise RuntimeError("no more threads")

    monkeypatch.setattr(web.AppRunner, "setup", fail)
    with pytest.raises(
        SinkError, match=r"the web page's server failed: RuntimeError: no more threads. Fix: run without"
    ):
        ServeSink("127.0.0.1:0", token=None, snapshot=make_snapshot, labels=LABELS)
