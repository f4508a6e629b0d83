"""Recordings in a real browser: Chromium loads, seeks in and shows what `VideoSink` wrote."""

import functools
import http.server
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from fer_deploy.live.sinks import VideoSink
from fer_deploy.live.sinks.video import sink as video
from fer_deploy.vision.types import Frame, FrameResult

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
GUARD_S = 60
PAGE = """<!DOCTYPE html><video id="v" muted preload="auto"></video><script>
const v = document.getElementById("v"), events = [];
const say = () => fetch("/said?" + encodeURIComponent(JSON.stringify({
  events, width: v.videoWidth, height: v.videoHeight, duration: v.duration, gray: gray(),
  error: v.error && v.error.message })));
function gray() {
  if (!v.videoWidth) return null;
  const c = document.createElement("canvas"); c.width = v.videoWidth; c.height = v.videoHeight;
  const g = c.getContext("2d"); g.drawImage(v, 0, 0);
  return [...g.getImageData(c.width / 2, c.height / 2, 1, 1).data].slice(0, 3);
}
v.addEventListener("error", say);
fetch("a.mp4").then(r => r.blob()).then(b => { v.src = URL.createObjectURL(b); });
v.addEventListener("loadeddata", () => { events.push("loadeddata"); v.currentTime = 1.55; }, { once: true });
v.addEventListener("seeked", () => { events.push("seeked"); say(); }, { once: true });
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder; what the page says arrives in `said`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.said: queue.Queue[dict] = queue.Queue()
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path.startswith("/said?"):
            self.server.said.put(json.loads(unquote(self.path.removeprefix("/said?"))))
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def copyfile(self, source, outputfile) -> None:
        try:
            super().copyfile(source, outputfile)
        except (BrokenPipeError, ConnectionResetError):  # a browser that has enough
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def seen_by_browser(server: Server, tmp_path: Path) -> dict:
    """Open the page in Chromium and return what it says."""
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--mute-audio",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"http://127.0.0.1:{server.server_port}/index.html",
    ]
    environment = {**os.environ, "HOME": str(tmp_path)}
    with open(tmp_path / "browser.log", "wb") as log:
        browser = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            return server.said.get(timeout=GUARD_S)
        finally:
            browser.terminate()
            browser.wait()


def record(path: Path, *, is_live: bool) -> None:
    """Twenty frames of 96x64 at ten a second; frame k has the gray level 40 + 10 k."""
    with VideoSink(path, 10.0, is_live=is_live) as sink:
        for index in range(20):
            picture = np.full((64, 96, 3), 40 + 10 * index, dtype=np.uint8)
            sink.write(FrameResult(Frame(picture, index, index / 10, 0), ()), picture)


@pytest.mark.parametrize("is_live", [False, True])
def test_recording(server, tmp_path, is_live):
    record(tmp_path / "site" / "a.mp4", is_live=is_live)
    seen = seen_by_browser(server, tmp_path)
    assert seen["error"] is None
    assert seen["events"] == ["loadeddata", "seeked"]
    assert (seen["width"], seen["height"]) == (96, 64)
    assert seen["duration"] == pytest.approx(2.0, abs=0.11)
    assert seen["gray"] == pytest.approx([190] * 3, abs=6), "the sixteenth frame, at 1.5 to 1.6 s"


def test_recording_that_was_not_finished(server, tmp_path, monkeypatch):
    """As a kill or a full disk leaves it: without the index in front."""
    monkeypatch.setattr(video, "move_index_to_front", lambda written, path: shutil.copyfile(written, path) and 20)
    record(tmp_path / "site" / "a.mp4", is_live=False)
    assert b"moof" in (tmp_path / "site" / "a.mp4").read_bytes()
    seen = seen_by_browser(server, tmp_path)
    assert (seen["error"], seen["width"], seen["height"]) == (None, 96, 64)
    assert "loadeddata" in seen["events"]
