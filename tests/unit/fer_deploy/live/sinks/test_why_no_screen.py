import socket

import cv2
import pytest

from fer_deploy.live.sinks import window as screen
from fer_deploy.live.sinks.window import why_no_screen


@pytest.fixture(autouse=True)
def linux_with_windows(monkeypatch):
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           QT5\n")


@pytest.mark.parametrize("info", ["  GUI:                           NONE\n    Qt: NO", "no line of that name"])
def test_headless_build(monkeypatch, info):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: info)
    assert why_no_screen() == "this OpenCV build has no windows (opencv-python-headless)"


@pytest.mark.parametrize("display", [None, ""])
def test_no_display(monkeypatch, display):
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    assert why_no_screen() == "there is no screen (DISPLAY is not set)"


@pytest.mark.parametrize("display", ["nonsense", ":", ":x", ":4711", "unix:4711", "127.0.0.1:59999", "bad..host:0"])
def test_nobody_answers(monkeypatch, display):
    monkeypatch.setenv("DISPLAY", display)
    assert why_no_screen() == f"no X server answers at DISPLAY={display}"


def test_a_screen_over_the_network(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}.0")
        assert why_no_screen() is None


def test_a_local_screen(monkeypatch, tmp_path):
    path = tmp_path / "X7"
    monkeypatch.setattr(screen, "Path", lambda text: path if text == "/tmp/.X11-unix/X7" else None)
    monkeypatch.setenv("DISPLAY", ":7.0")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert why_no_screen() is None
    assert why_no_screen() == "no X server answers at DISPLAY=:7.0"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_need_no_display(monkeypatch, platform):
    monkeypatch.setattr(screen.sys, "platform", platform)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert why_no_screen() is None
