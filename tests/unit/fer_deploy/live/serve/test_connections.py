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
from fer_deploy.live.serve.slots import MAX_CONNECTIONS, MAX_UNKNOWN, MAX_UNKNOWN_PER_ADDRESS

TOKEN = "sesame-open-1"
GUARD_S = 20
HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def connect(url: str, from_host="127.0.0.1") -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=GUARD_S, source_address=(from_host, 0))


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


def test_silent_clients_keep_nobody_out():
    with serving(token=TOKEN) as sink, ExitStack() as open_clients:
        clients = [open_clients.enter_context(connect(sink.url)) for _ in range(3 * MAX_UNKNOWN_PER_ADDRESS)]
        assert get(sink.url, "/healthz").status == 200
        for client in clients[: 2 * MAX_UNKNOWN_PER_ADDRESS]:
            assert last_words(client) == b""
        clients[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert last_words(clients[-1]).startswith(b"HTTP/1.1 200 ")


def test_clients_of_many_addresses_keep_nobody_out():
    with serving(token=TOKEN) as sink, ExitStack() as open_clients:
        for number in range(2 * MAX_UNKNOWN):
            open_clients.enter_context(connect(sink.url, f"127.0.7.{1 + number}"))
        assert get(sink.url, "/metrics", Authorization=f"Bearer {TOKEN}").status == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/live", "/nothing", f"/?token={TOKEN}"])
def test_without_the_token_a_connection_ends_with_its_first_answer(path):
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".encode()
    with serving(token=TOKEN) as sink, connect(sink.url) as client:
        client.sendall(3 * request)
        answer = last_words(client)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


def test_with_the_token_a_connection_is_kept_and_a_failed_request_ends_it():
    def request(path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()

    with serving(token=TOKEN) as sink, connect(sink.url) as client:
        client.sendall(2 * request("/healthz") + 2 * request("/nothing"))
        answer = last_words(client)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"404"]


def test_an_answer_that_nobody_reads_is_given_up(monkeypatch):
    monkeypatch.setattr(connections, "NEXT_REQUEST_S", 0.3)
    request = f"GET /page.css HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with serving(token=TOKEN) as sink, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(GUARD_S)
        parts = urlsplit(sink.url)
        client.connect((parts.hostname, parts.port))
        with pytest.raises(ConnectionError):  # it is cut off while it goes on to ask
            client.sendall(200_000 * request)


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


def test_kept_connections_without_a_request_keep_nobody_out():
    """Without a token everyone is let in: then the oldest idle connection gives way, and never a page that watches."""
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving() as sink, ExitStack() as open_clients:
        watching = open_clients.enter_context(connect(sink.url))
        watching.sendall(HANDSHAKE)
        assert watching.recv(4096).startswith(b"HTTP/1.1 101 ")
        clients: list[socket.socket] = []
        for _ in range(MAX_CONNECTIONS + 8):
            clients.append(open_clients.enter_context(connect(sink.url)))
            clients[-1].sendall(request)
            assert clients[-1].recv(4096).startswith(b"HTTP/1.1 200 ")
        assert last_words(clients[0]) == b""
        assert watching.recv(4096) != b""


def test_a_second_request_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(connections, "NEXT_REQUEST_S", 0.3)
    with serving() as sink, connect(sink.url) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT")
        assert last_words(client).count(b"HTTP/1.1 ") == 1


def test_the_server_ends_though_clients_are_silent_slow_or_half_open():
    with ExitStack() as open_clients, serving() as sink:
        for words in (b"", b"GET / HT", HANDSHAKE, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            client = open_clients.enter_context(connect(sink.url))
            client.sendall(words)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_trouble_without_end_is_a_line_a_minute(caplog):
    quiet, loop = QuietTrouble(), asyncio.new_event_loop()
    try:
        for _ in range(1000):
            quiet(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many")})
            quiet(loop, {"message": "another"})
            quiet(loop, {"message": "a third", "exception": ValueError("two\nlines\x1b[31m"), "path": "/\r\nERROR"})
    finally:
        loop.close()
    assert caplog.messages == [
        "the web page's server: socket.accept() out of system resource: OSError: [Errno 24] Too many",
        "the web page's server: another",
        r"the web page's server: a third: /\r\nERROR: ValueError: two\nlines\x1b[31m",
    ]
