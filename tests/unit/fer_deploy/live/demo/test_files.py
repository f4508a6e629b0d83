"""The demo's files: fetched once from a server of this test, by size and digest, in time or not at all."""

import hashlib
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fer_deploy.detectors.yunet_file import SHA256
from fer_deploy.live.demo.files import PinnedFile, demo_clip, demo_detector, fetch_once

CONTENT = bytes(range(256)) * 600
"""153,600 bytes: more than one chunk."""


class Server:
    """Gives `content`; `asked` are the paths; after each piece it waits until `released`, where `is_slow`."""

    def __init__(self) -> None:
        self.content, self.status, self.is_slow = CONTENT, 200, False
        self.asked: list[str] = []
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                self.send_response(server.status)
                self.end_headers()
                with suppress(OSError):  # who asked may be gone
                    for start in range(0, len(server.content), 1024):
                        self.wfile.write(server.content[start : start + 1024])
                        if server.is_slow and server.released.wait(0.05):  # never so long that a read times out
                            return

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05})

    def close(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    server = Server()
    server.thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    if server.thread.is_alive():
        server.close()


@pytest.fixture
def files(server, tmp_path):
    digest = hashlib.sha256(CONTENT).hexdigest()
    root = f"http://127.0.0.1:{server.http.server_port}"
    folder = tmp_path / "cache" / "demo"
    return [PinnedFile(name, f"{root}/{name}", len(CONTENT), digest, folder / name) for name in ("a.onnx", "b.gif")]


def kept(tmp_path):
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


def test_both_are_fetched_once_and_need_no_network_then(server, files, tmp_path):
    assert fetch_once(files) == ""
    assert [file.path.read_bytes() for file in files] == [CONTENT, CONTENT]
    assert server.asked == ["/a.onnx", "/b.gif"]
    server.close()
    assert fetch_once(files) == ""
    assert kept(tmp_path) == ["a.onnx", "b.gif"]


def test_only_what_is_missing_or_damaged_is_fetched(server, files):
    assert fetch_once(files[:1]) == ""
    assert fetch_once(files) == ""
    assert server.asked == ["/a.onnx", "/b.gif"]
    files[1].path.write_bytes(CONTENT[:-1] + b"?")
    assert fetch_once(files) == ""
    assert (server.asked[2:], files[1].path.read_bytes()) == (["/b.gif"], CONTENT)


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"<html>sign in</html>", "gave 20 bytes, expected 153,600"),
        (b"", "gave 0 bytes, expected 153,600"),
        (CONTENT + b"x", "gave more than 153,600 bytes, expected 153,600"),
        (CONTENT[:-1] + b"?", "gave a file with SHA-256 "),
    ],
)
def test_other_bytes_are_not_kept(server, files, tmp_path, content, seen):
    server.content = content
    reason = fetch_once(files)
    assert reason.startswith(f"cannot fetch a.onnx: {files[0].address} {seen}")
    assert "\n" not in reason
    assert kept(tmp_path) == []
    assert server.asked == ["/a.onnx"], "without the first one the second one is of no use"


def test_a_server_that_is_too_slow(server, files, tmp_path):
    """It sends all the time, so that no read of the socket ever times out: 150 pieces of 50 ms."""
    server.is_slow = True
    assert fetch_once(files, limit_s=0.4) == "a.onnx was not here within 0.4 s"
    server.close()
    assert kept(tmp_path) == []


def test_the_limit_is_for_both_together(server, files, tmp_path):
    assert fetch_once(files[:1]) == ""
    server.is_slow = True
    assert fetch_once(files, limit_s=0.4) == "b.gif was not here within 0.4 s"
    server.close()
    assert kept(tmp_path) == ["a.onnx"]


def test_no_network(server, files, tmp_path):
    server.close()
    assert fetch_once(files) == "cannot fetch a.onnx: Connection refused"
    assert kept(tmp_path) == []


def test_the_server_refuses(server, files):
    server.status = 404
    assert fetch_once(files) == "cannot fetch a.onnx: Not Found"


def test_a_cache_that_cannot_be_written(server, files, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert fetch_once(files).startswith("cannot fetch a.onnx: [Errno ")


def test_the_official_files(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clip, detector = demo_clip(), demo_detector()
    assert clip.address.startswith("https://raw.githubusercontent.com/intel-iot-devkit/sample-videos/45fcafea")
    assert clip.path == tmp_path / "fer-deploy" / "demo" / "face-demographics-walking-and-pause.gif"
    assert detector.address.startswith("https://github.com/opencv/opencv_zoo/")
    assert (detector.sha256, detector.path.parent) == (SHA256, tmp_path / "fer-deploy" / "detectors")


@pytest.mark.shared
def test_the_digest_is_that_of_the_real_clip(shared_dir):
    path = shared_dir / "clips" / demo_clip().path.name
    content = path.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (demo_clip().num_bytes, demo_clip().sha256)
