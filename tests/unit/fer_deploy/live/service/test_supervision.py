"""Notifications to systemd, read from a socket as systemd reads them."""

import socket
import time
from types import SimpleNamespace

import pytest

from fer_deploy.live.service import supervision
from fer_deploy.live.service.notify import notify, watchdog_s
from fer_deploy.live.service.supervision import Supervision, status_line


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path):
    """Return a socket, and the NOTIFY_SOCKET that leads to it."""
    name = f"\0fer-test-{tmp_path.name}-{time.monotonic_ns()}" if request.param == "abstract" else str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(10)
        yield listening, name.replace("\0", "@")


def source(state="running"):
    return SimpleNamespace(health=SimpleNamespace(state=state))


RUNNING = (source(),)


def snapshot(num_frames, *, sources=RUNNING, sinks=()):
    return SimpleNamespace(num_frames=num_frames, throughput_fps=15.0, sources=sources, sinks=sinks)


def test_one_datagram_a_call(listener):
    listening, address = listener
    assert notify("READY=1", "STATUS=two\nlines", environ={"NOTIFY_SOCKET": address})
    assert listening.recv(100) == b"READY=1\nSTATUS=two lines"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens-there", "vsock:2:1", "relative"])
def test_no_supervisor_is_no_failure(address):
    assert not notify("READY=1", environ={"NOTIFY_SOCKET": address})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(environ, seconds):
    assert watchdog_s(environ) == seconds


def test_ready_comes_with_the_first_frame_and_the_watchdog_with_new_ones(listener, monkeypatch):
    monkeypatch.setattr(supervision, "FIRST_LOOK_S", 0.01)
    listening, address = listener
    num_frames = 0

    def received():
        return listening.recv(1000).decode().splitlines()

    running = Supervision(lambda: snapshot(num_frames), {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "40000"})
    with running.running():
        assert received() == ["STATUS=waiting for the first frame"]
        with running.reloading():  # its end would be READY=1
            pass
        num_frames = 3
        frames = "STATUS=3 frames, 15.0 a second, 1 of 1 sources deliver"
        assert received() == ["READY=1", "WATCHDOG=1", frames]
        assert received() == [frames]  # nothing new: no watchdog
        num_frames = 4
        said = received()
        while said == [frames]:
            said = received()
        assert said[0] == "WATCHDOG=1"
        with running.reloading():
            pass
        told = [received() for _ in range(4)]
        assert any(lines[0] == "RELOADING=1" and lines[1].startswith("MONOTONIC_USEC=") for lines in told)
        assert ["READY=1"] in told
        running.stopping()
        while received()[0] != "STOPPING=1":
            pass
    listening.settimeout(0.05)
    with pytest.raises(TimeoutError):
        received()  # STOPPING=1 is the last, and comes once


def test_the_end_of_a_recording_is_reported_too(listener):
    listening, address = listener
    with Supervision(lambda: snapshot(0), {"NOTIFY_SOCKET": address}).running():
        listening.recv(1000)
    assert listening.recv(1000).startswith(b"STOPPING=1\n")


def test_the_status_names_failed_outputs_and_lost_sources():
    sinks = (SimpleNamespace(name="jsonl", failure="disk full"), SimpleNamespace(name="serve", failure=""))
    text = status_line(snapshot(1200, sources=(source(), source("ended")), sinks=sinks))
    assert text == "1,200 frames, 15.0 a second, 1 of 2 sources deliver, failed outputs: jsonl"
