"""Clients that are not browsers: too many, silent, or speaking something else than HTTP."""

import asyncio
import logging
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from unit.fer_deploy.live.serve.http_client import get
from unit.fer_deploy.live.serve.stage import serving

from fer_deploy.live.serve import connections
from fer_deploy.live.serve.connections import QuietTrouble

TOKEN = "sesame-open-1"
GUARD_S = 20


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S)


def last_words(client: socket.socket) -> bytes:
    """What the server says until it closes; a client that it cut off hears nothing."""
    words = b""
    try:
        while part := client.recv(4096):
            words += part
    except ConnectionResetError:
        pass
    return words


@pytest.mark.parametrize(
    "request_text",
    [
        f"GET /?token={TOKEN}&x={'a' * 20_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET /?token={TOKEN} HTTP/9.9.9\r\n\r\n",
        f"{TOKEN}\r\n\r\n",
    ],
)
def test_garbage_is_neither_logged_nor_sent_back(request_text, caplog):
    caplog.set_level(logging.DEBUG)
    with serving(token=TOKEN) as sink, connect(sink.url) as client:
        client.sendall(request_text.encode())
        answer = last_words(client)
    assert answer.split()[1] == b"400"
    assert b"X-Content-Type-Options: nosniff" in answer
    assert b"aiohttp" not in answer
    assert TOKEN not in answer.decode() + caplog.text


def test_idle_clients_leave_room(monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 4)
    with serving() as sink, ExitStack() as open_clients:
        clients = [open_clients.enter_context(connect(sink.url)) for _ in range(8)]
        for surplus in clients[4:]:
            assert last_words(surplus) == b""
        clients[0].close()
        for _ in range(50):
            try:
                assert get(sink.url, "/healthz").status == 200
                break
            except OSError:  # the server has not yet heard of the close
                pass
        else:
            pytest.fail("the place did not become free")


def test_who_asks_nothing_is_sent_away_and_who_asked_is_not(monkeypatch):
    monkeypatch.setattr(connections, "FIRST_REQUEST_S", 0.3)
    with serving() as sink, connect(sink.url) as silent, connect(sink.url) as slow, connect(sink.url) as good:
        slow.sendall(b"GET / HT")
        good.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert last_words(silent) == b""
        assert last_words(slow) == b""
        assert good.recv(4096).startswith(b"HTTP/1.1 200 ")
        good.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert good.recv(4096).startswith(b"HTTP/1.1 200 "), "the connection is kept"


def test_trouble_without_end_is_a_line_a_minute(caplog):
    quiet, loop = QuietTrouble(), asyncio.new_event_loop()
    try:
        for _ in range(1000):
            quiet(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many")})
        quiet(loop, {"message": "another"})
    finally:
        loop.close()
    assert len(caplog.messages) == 2
