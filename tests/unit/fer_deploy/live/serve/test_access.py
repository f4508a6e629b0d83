"""Who may see the page: asked over real HTTP."""

import asyncio
import re

import aiohttp
import pytest
from unit.fer_deploy.live.serve.http_client import get, next_of
from unit.fer_deploy.live.serve.stage import serving

from fer_deploy.errors import ConfigError
from fer_deploy.live.serve import ServeSink

TOKEN = "correct-horse"
GUARDED = ["/", "/page.js", "/page.css", "/live", "/metrics", "/nothing"]


@pytest.fixture(scope="module")
def open_url():
    with serving() as sink:
        yield sink.url


@pytest.fixture(scope="module")
def token_url():
    with serving(token=TOKEN) as sink:
        yield sink.url


def test_this_machine_needs_no_token(open_url):
    assert "token" not in open_url
    assert open_url.startswith("http://127.0.0.1:")
    assert get(open_url).status == 200


@pytest.mark.parametrize("path", GUARDED)
def test_without_the_token_nothing_is_told(token_url, path):
    answer = get(token_url, path)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.text.startswith("401: the token is missing or wrong. Open the address that fer-deploy live printed")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong-horse"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer \xff\xfe"},
        {"Cookie": f"fer_live_1={TOKEN}"},
    ],
)
def test_a_wrong_token_is_none(token_url, headers):
    assert get(token_url, "/metrics", **headers).status == 401


def test_the_address_is_a_key_once_and_the_cookie_after(token_url):
    assert token_url.endswith(f"/?token={TOKEN}")
    assert get(token_url, "/?token=wrong-horse").status == 401
    assert get(token_url, f"/metrics?token={TOKEN}").status == 401, "only the page takes it from the address"
    welcome = get(token_url, f"/?token={TOKEN}")
    assert (welcome.status, welcome.headers["Location"]) == (303, "/")
    cookie, *attributes = welcome.headers["Set-Cookie"].split("; ")
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
    for path in ("/", "/page.js", "/metrics"):
        assert get(token_url, path, Cookie=cookie).status == 200
    assert get(token_url, "/metrics", Cookie=cookie[:-1]).status == 401


def test_programs_send_a_header(token_url):
    assert get(token_url, "/metrics", Authorization=f"Bearer {TOKEN}").status == 200


def test_the_cookie_outlives_the_server():
    cookies = []
    for _ in range(2):
        with serving(token=TOKEN) as sink:
            cookies.append(get(sink.url, f"/?token={TOKEN}").headers["Set-Cookie"].partition("; ")[0].partition("=")[2])
    assert cookies[0] == cookies[1]


def test_health_needs_no_token_and_tells_one_word(token_url):
    answer = get(token_url, "/healthz")
    assert (answer.status, answer.text) == (200, "ok\n")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_beyond_this_machine_a_token_is_made(address):
    urls = []
    for _ in range(2):
        with serving(address) as sink:
            urls.append(sink.url)
            loopback = f"http://127.0.0.1:{sink.url.rpartition(':')[2].partition('/')[0]}"
            assert get(loopback).status == 401
            assert get(loopback, "/?" + sink.url.partition("?")[2]).status == 303
    tokens = [url.partition("?token=")[2] for url in urls]
    assert len(set(tokens)) == 2
    assert all(len(token) == 24 for token in tokens)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "has 0 characters, expected at least 8"),
        ("short", "has 5 characters, expected at least 8"),
        ("with a space", "contains spaces, control characters or non-ASCII"),
        ("schlüsselwort", "or non-ASCII characters"),
        ("line\nbreaks", "contains spaces, control"),
    ],
)
def test_a_token_that_protects_nothing_is_refused_and_not_shown(token, message):
    with pytest.raises(ConfigError, match=message) as caught:
        ServeSink("127.0.0.1:0", token=token, snapshot=lambda: None, labels=("a",))
    assert "Fix: " in str(caught.value)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.7", "[2001:db8::1]:80", ""]
)
def test_a_foreign_name_for_this_machine_is_refused(open_url, host):
    for path in ("/", "/live", "/healthz"):
        answer = get(open_url, path, Host=host)
        assert answer.status == 403
        assert answer.text == "403: this server answers to localhost and 127.0.0.1 only.\n"


@pytest.mark.parametrize(
    "host",
    [
        "[::1",
        "[",
        "]",
        "[::",
        "http://[::",
        "user@localhost",
        "localhost:x",
        "localhost:999999",
        "\xff",
        "localhost, evil.example",
        "localhost/..",
        "a b",
    ],
)
@pytest.mark.parametrize("path", ["/", "/live", "/healthz"])
def test_a_malformed_host_is_refused(open_url, token_url, host, path):
    for url in (open_url, token_url):
        answer = get(url, path, Host=host)
        assert (answer.status, answer.text) == (400, "400: the Host header is malformed.\n")


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8080"])
def test_every_name_of_this_machine_will_do_also_through_a_tunnel(open_url, host):
    assert get(open_url, Host=host).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "file://",
        "http://[::",
        "http://[",
        "http://]",
        "://",
        "",
        "http://[v1.x]",
        "http://user@localhost",
        "http://127.0.0.1:99999999999",
        "http://a:b:c",
        "\xff",
        "localhost",
    ],
)
def test_another_sites_page_cannot_watch(open_url, origin):
    answer = get(open_url, "/live", Origin=origin, Connection="Upgrade", Upgrade="websocket")
    assert (answer.status, answer.text) == (403, "403: this page may be opened from its own address only.\n")


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz"])
@pytest.mark.parametrize("origin", ["http://[::", "http://", "http://a:b:c", "://", ""])
def test_a_malformed_origin_is_refused_everywhere(open_url, path, origin):
    answer = get(open_url, path, Origin=origin)
    assert (answer.status, answer.text) == (403, "403: this page may be opened from its own address only.\n")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[::1]:8080"])
def test_a_sound_origin_is_judged_where_pictures_are_watched(open_url, origin):
    assert get(open_url, "/", Origin=origin).status == 200


def test_the_own_page_and_programs_can_watch(open_url):
    async def watch(**headers: str) -> dict:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{open_url}live", headers=headers) as socket:
            return await next_of(socket, "hello")

    assert asyncio.run(watch(Origin=open_url.rstrip("/")))["labels"][0] == "angry"
    assert asyncio.run(watch())["labels"][0] == "angry"


@pytest.mark.parametrize("path", ["/", "/page.js", "/nothing", "/metrics", "/healthz", "/live"])
def test_every_answer_forbids_foreign_code_and_frames(open_url, path):
    headers = get(open_url, path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


@pytest.mark.parametrize(
    "path",
    ["/page", "/page/", "/static/", "/../sink.py", "/..%2fsink.py", "/%2e%2e/sink.py", "//etc/passwd", "/sink.py"],
)
def test_nothing_but_the_page_is_on_the_server(open_url, path):
    answer = get(open_url, path)
    assert (answer.status, answer.text) == (404, "404: Not Found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(open_url, method):
    assert get(open_url, method=method).status == 405


def test_the_page_writes_text_and_never_markup(repo_dir):
    """Labels, source names and errors come from others: `textContent` and `fillText` show them as they are."""
    scripts = sorted((repo_dir / "fer_deploy/live/serve/page").glob("*.js"))
    assert len(scripts) >= 5
    for script in scripts:
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setTimeout\(\s*[\"'`]"
            r"|setAttribute|(?<!location)\.href|\.src\b|DOMParser|createContextualFragment|localStorage",
            script.read_text(),
        )
        assert found == [], script.name
