"""A page that someone watches goes on getting its pictures while others attack the server. All traffic stays local."""

import asyncio
import logging
import socket
import zlib
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import aiohttp
import pytest
from unit.fer_deploy.live.serve.page_client import next_picture, quick_close
from unit.fer_deploy.live.serve.stage import Actor, endless, serving

TOKEN = "sesame-open-1"
NUM_ROUNDS, NUM_CLIENTS = 6, 4
GUARD_S = 20
CHUNK = b"f" * 65_536
BOMB = zlib.compress(bytes(30_000_000), 9)


def head(line="GET /", *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode("latin-1")


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


FRAME = bytes([0x82, 0xFF]) + (2**40).to_bytes(8, "big") + bytes(4)  # announces a terabyte
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + "A" * 22)
SILENT, REFUSED, UNAUTHORIZED = b"", b"413", b"401"
ATTACKS = {
    "compressed body": (head("POST /", f"Content-Length: {len(BOMB)}", "Content-Encoding: gzip") + BOMB, REFUSED),
    "bad deflate body": (head("POST /", "Content-Length: 4", "Content-Encoding: deflate") + b"\xff" * 4, REFUSED),
    "long body": (head("PUT /metrics", "Content-Length: 3000000") + 46 * CHUNK, REFUSED),
    "body of a GET": (head("GET /healthz", "Content-Length: 5") + b"hello", REFUSED),
    "body of a HEAD": (head("HEAD /", "Content-Length: 65536") + CHUNK, REFUSED),
    "body of an OPTIONS": (head("OPTIONS /", "Transfer-Encoding: chunked") + chunked(CHUNK), REFUSED),
    "chunked body": (head("POST /", "Transfer-Encoding: chunked") + chunked(BOMB), REFUSED),
    "chunk without end": (head("POST /", "Transfer-Encoding: chunked") + b"fffffff\r\n" + CHUNK, REFUSED),
    "body with Expect": (head("POST /", "Content-Length: 9", "Expect: 100-continue"), REFUSED),
    "Expect alone": (head("GET /", "Expect: 100-continue"), b"417"),
    "body with an upgrade": (head("GET /live", *HANDSHAKE, "Content-Length: 65536") + CHUNK, REFUSED),
    "both lengths": (head("POST /", "Content-Length: 5", "Transfer-Encoding: chunked") + chunked(b"x"), b"400"),
    "two lengths": (head("POST /", "Content-Length: 5", "Content-Length: 6") + b"hello!", b"400"),
    "negative length": (head("POST /", "Content-Length: -1"), b"400"),
    "bad chunk": (head("POST /", "Transfer-Encoding: chunked") + b"zz\r\n", b"400"),
    "huge header": (head("GET /", "X: " + "a" * 100_000), b"400"),
    "many headers": (head("GET /", *[f"X-{number}: y" for number in range(5000)]), b"400"),
    "huge address": (head("GET /" + "a" * 100_000), b"400"),
    "no such method": (head("FETCH /"), b"400"),
    "CONNECT": (head("CONNECT example.org:443") + CHUNK, REFUSED),
    "no HTTP": (CHUNK, b"400"),
    "slow headers": (b"GET / HTTP/1.1\r\nHost: loc", SILENT),
    "nothing": (b"", SILENT),
    "pipelining": (1000 * head("GET /metrics"), UNAUTHORIZED),
    "handshake without the token": (head("GET /live", *HANDSHAKE) + 100 * FRAME, UNAUTHORIZED),
    "malformed Origin": (head("GET /live", "Origin: http://[::", *HANDSHAKE), b"403"),
    "malformed Host": (b"GET / HTTP/1.1\r\nHost: http://[::\r\n\r\n", b"400"),
}


@pytest.fixture(scope="module")
def watched():
    """A server whose page has a viewer, and its address without the token."""
    with serving(token=TOKEN) as sink, Actor(sink, endless()):
        yield sink.url


def launch(url: str, attack: bytes, clients: ExitStack) -> socket.socket:
    """Send an attack from a connection that stays open; a server that closes early is no failure here."""
    place = urlsplit(url)
    client = clients.enter_context(socket.create_connection((place.hostname, place.port), timeout=GUARD_S))
    with suppress(ConnectionError):
        client.sendall(attack)
    return client


def status_of(client: socket.socket) -> bytes:
    """Return the status that the server says before it closes, or nothing where it cut the connection."""
    words = b""
    try:
        while part := client.recv(4096):
            words += part
    except ConnectionError:
        pass
    return words.split(b" ")[1] if words else SILENT


async def pictures_during(url: str, attack: bytes, clients: ExitStack) -> list[int]:
    """Return the numbers of the frames that a page is shown, one after each round of an attack."""
    loop, frames = asyncio.get_running_loop(), []
    place = urlsplit(url)
    address = f"http://{place.hostname}:{place.port}/live"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(address, headers=headers, timeout=quick_close()) as page,
    ):
        for _ in range(NUM_ROUNDS):
            for _ in range(NUM_CLIENTS):
                await loop.run_in_executor(None, launch, url, attack, clients)
            frames.append((await next_picture(page))[0]["frame"])
            await page.send_json({"ready": True})
    return frames


@pytest.mark.parametrize("name", ATTACKS)
def test_a_page_is_shown_new_pictures_under_attack(watched, caplog, name):
    caplog.set_level(logging.INFO)
    attack, _ = ATTACKS[name]
    with ExitStack() as clients:
        frames = asyncio.run(pictures_during(watched, attack, clients))
    assert sorted(set(frames)) == frames, "each picture is a newer one"
    assert len(frames) == NUM_ROUNDS
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO] == []


@pytest.mark.parametrize("name", [name for name, (_, status) in ATTACKS.items() if status != SILENT])
def test_an_attack_is_answered_with_its_status_and_a_closed_connection(watched, name):
    attack, status = ATTACKS[name]
    with ExitStack() as clients:
        # A reset may overtake the answer if the client still sends: then the answer is lost, and that is no failure.
        assert status_of(launch(watched, attack, clients)) in (status, SILENT)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head("POST /", "Content-Length: 3000000"), b"413"),
        (head("POST /", "Content-Length: 3000000", "Content-Encoding: gzip"), b"413"),
        (head("POST /", "Transfer-Encoding: chunked"), b"413"),
        (head("POST /", "Content-Length: 9", "Expect: 100-continue"), b"413"),
        (head("GET /", "Expect: 100-continue"), b"417"),
        (head("HEAD /", "Content-Length: 9"), b"413"),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_body_is_refused_before_it_is_sent(request_head, status, token):
    with serving(token=token) as sink, ExitStack() as clients:
        assert status_of(launch(sink.url, request_head, clients)) == status


def test_a_bad_body_leaves_no_traceback(caplog):
    attack, _ = ATTACKS["bad deflate body"]
    with serving() as sink:
        for _ in range(50):
            with ExitStack() as clients:
                assert status_of(launch(sink.url, attack, clients)) == b"413"
    assert caplog.text == ""
