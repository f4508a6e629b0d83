"""POST /events over real HTTP: what is accepted, and from whom."""

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
from unit.fer_deploy.live.serve.http_client import get
from unit.fer_deploy.live.serve.stage import LABELS, make_snapshot

from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.serve import ServeSink, event_requests

TOKEN = "correct-horse"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / "events.csv", names=("film",))
    log.note_frame(0, 12.5, 0, is_live=False)
    yield log
    log.close(is_incomplete=False)


@pytest.fixture
def page(log):
    with ServeSink("127.0.0.1:0", token=TOKEN, snapshot=make_snapshot, labels=LABELS, events=log) as sink:
        yield sink.url


def post(url, content, *, path="/events", kind="application/json", **headers):
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        connection.request("POST", path, body, {"Content-Type": kind, **BEARER, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_an_event(page, log, tmp_path):
    status, text = post(page, {"label": "film", "state": "start"})
    assert (status, json.loads(text)) == (200, {"label": "film", "state": "start", "time_s": {"0": 12.5}})
    log.note_frame(0, 14.0, 0, is_live=False)
    assert json.loads(get(page, "/events", **BEARER).text) == {
        "written": True,
        "labels": ["film"],
        "open": {"film": 1.5},
    }
    assert post(page, {"label": "film", "state": "end"}, Origin=page.partition("/?")[0])[0] == 200
    assert (tmp_path / "events.csv").read_text().endswith("12.5,14.0,film,event,0,,\n")


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        (b"film", 400, "not a JSON object"),
        ({"label": "film", "state": "end"}, 409, "film has not begun"),
        ({"label": "film", "state": "start", "source": 7}, 409, "there is no source 7"),
        (b"x" * 4097, 413, "of at most 4096 bytes"),
    ],
)
def test_what_is_refused(page, content, status, text):
    answer = post(page, content)
    assert answer[0] == status
    assert text in answer[1]


def test_only_with_the_token(page, log):
    for wrong in ("Bearer wrong-horse", ""):
        assert post(page, {"label": "film", "state": "start"}, Authorization=wrong)[0] == 401
    assert get(page, "/events").status == 401
    assert log.open_events() == {}


def test_no_other_site_notes_events(page, log):
    event = {"label": "film", "state": "start"}
    assert post(page, event, Origin="https://evil.example")[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded"):  # which a page may send to any site
        status, text = post(page, event, kind=kind)
        assert (status, "expected Content-Type: application/json" in text) == (415, True)
    assert post(page, event, Host="evil.example")[0] == 403
    assert log.open_events() == {}


@pytest.mark.parametrize("path", ["/", "/events/", "/metrics"])
def test_other_paths_take_no_body(page, path):
    assert post(page, {"label": "film", "state": "start"}, path=path)[0] == 413


def test_a_run_without_events():
    with ServeSink("127.0.0.1:0", snapshot=make_snapshot, labels=LABELS) as sink:
        status, text = post(sink.url, {"label": "film", "state": "start"})
        assert (status, json.loads(text)["error"].partition(". ")[0]) == (409, "events are not written in this run")
        assert json.loads(get(sink.url, "/events").text)["written"] is False


def test_a_body_that_never_comes(page, monkeypatch):
    monkeypatch.setattr(event_requests, "BODY_S", 0.2)
    place = urlsplit(page)
    with socket.create_connection((place.hostname, place.port), timeout=20) as client:
        client.sendall(
            f"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{".encode()
        )
        begun_s = time.monotonic()
        assert client.recv(4096).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - begun_s < 10


@pytest.mark.parametrize("length", ["+5", "5, 5", "0x5", "99999999999999999999"])
def test_lengths_that_are_none(page, length):
    place = urlsplit(page)
    with socket.create_connection((place.hostname, place.port), timeout=20) as client:
        client.sendall(f"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{{}}".encode())
        assert client.recv(4096).split()[1] in (b"400", b"413")
