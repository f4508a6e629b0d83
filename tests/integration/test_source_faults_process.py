"""The process that reads a camera: what its death, its parent's, and many of them leave behind; recordings, pipes."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from integration.mjpeg_server import jpeg
from integration.source_watching import GUARD_S, children, wait_for_exit, watched

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import open_source, watchdog

REPO = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def running_python(program: str, *arguments: str, **pipes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=REPO, env={**os.environ, "PYTHONPATH": str(REPO)}, **pipes
    )


class TestDeath:
    def test_killed_child_is_replaced(self, mjpeg_camera, monkeypatch):
        monkeypatch.setattr(watchdog, "MAX_DELAY_S", 0.05)
        others = children()
        with watched(mjpeg_camera.url(), stall_s=30.0) as seen:
            before = seen.until(lambda frame: frame.index >= 3)
            (child,) = children() - others
            os.kill(child, signal.SIGKILL)
            after = seen.until(lambda frame: seen.source.health.num_reconnects == 1)
            assert after.index > before.index
            assert "its capture process was killed by signal 9" in seen.source.health.last_error
            assert child not in children()

    def test_child_dies_with_a_killed_parent(self, mjpeg_camera):
        program = (
            "import sys; from fer_deploy.live.sources import open_source; source = open_source(sys.argv[1]);"
            "[print(frame.index, flush=True) for frame in source.frames()]"
        )
        with running_python(program, mjpeg_camera.url(), stdout=subprocess.PIPE) as parent:
            try:
                assert parent.stdout.readline().strip().isdigit()
                (child,) = children(parent.pid)
                assert os.getpgid(child) != os.getpgid(parent.pid)  # Ctrl-C in a terminal goes to the parent's group
            finally:
                parent.kill()
        wait_for_exit(child)

    def test_nothing_is_left_after_many(self, mjpeg_camera):
        def state():
            num_mapped = Path("/proc/self/maps").read_text().count("fer-deploy-frames")
            return len(os.listdir("/proc/self/fd")), threading.active_count(), num_mapped, children()

        def open_and_close():
            with watched(mjpeg_camera.url()) as seen:
                seen.until(lambda frame: frame.index >= 1)

        open_and_close()
        mjpeg_camera.forget_clients()
        before = state()
        for _ in range(int(os.environ.get("FER_TEST_ROUNDS", "5"))):
            open_and_close()
        mjpeg_camera.forget_clients()
        assert state() == before

    def test_says_nothing_on_stderr(self, mjpeg_camera, capfd):
        with watched(mjpeg_camera.url()) as seen:
            mjpeg_camera.mode = "damaged"
            seen.until(lambda frame: seen.source.health.num_corrupt >= 2)
        assert capfd.readouterr() == ("", "")


@pytest.fixture
def folder_url(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def write_recording(path: Path, num_frames: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(num_frames):
            pixels = np.full((48, 64, 3), 40 + 3 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        container.mux(stream.encode())


class TestRecordingBehindUrl:
    def test_loses_nothing(self, tmp_path, folder_url):
        write_recording(tmp_path / "a.mp4", 60)
        with watched(f"{folder_url}/a.mp4") as seen:
            assert (seen.source.is_live, seen.source.fps, seen.source.num_frames) == (False, 12, 60)
            frames = seen.rest()
        assert [frame.index for frame in frames] == list(range(60))
        assert [frame.time_s for frame in frames] == pytest.approx([i / 12 for i in range(60)], abs=1e-3)
        assert [round(frame.frame_bgr.mean()) for frame in frames] == pytest.approx(
            [40 + 3 * i for i in range(60)], abs=8
        )
        assert seen.source.health.num_reconnects == 0

    def test_missing(self, folder_url):
        with pytest.raises(
            StreamError, match=r"cannot open the stream http://.*/b\.mp4: Server returned 404 Not Found"
        ):
            open_source(f"{folder_url}/b.mp4")


class TestStandardInput:
    PROGRAM = (
        "import sys; from fer_deploy.live.sources import open_source; source = open_source(sys.argv[1]);"
        "print('open', flush=True);"
        "[print(frame.index, frame.frame_bgr.shape, flush=True) for frame in source.frames()]"
    )

    def test_mjpeg_comes_through_at_once_and_to_its_end(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with running_python(self.PROGRAM, "-", **pipes) as reader:
            guard = threading.Timer(GUARD_S, reader.kill)
            guard.start()
            assert reader.stdout.readline() == b"open\n"
            for level in range(4):
                reader.stdin.write(jpeg(level))
            reader.stdin.flush()
            assert reader.stdout.readline() == b"0 (48, 64, 3)\n"  # while the pipe is still open
            reader.stdin.close()
            assert reader.stdout.read().splitlines() == [b"%d (48, 64, 3)" % index for index in (1, 2, 3)]
            assert reader.wait() == 0
            guard.cancel()

    def test_terminal_is_refused(self):
        ours, theirs = os.openpty()
        try:
            with running_python(self.PROGRAM, "-", stdin=theirs, stderr=subprocess.PIPE) as reader:
                assert "standard input is a terminal, expected pictures. Fix: " in reader.stderr.read().decode()
        finally:
            os.close(ours)
            os.close(theirs)
