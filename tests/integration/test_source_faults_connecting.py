"""Cameras on the network: connecting, secrets, and stopping at any moment."""

import contextlib
import logging
import socket
import threading
from pathlib import Path

import pytest
from integration.analyze_videos import write_squares
from integration.file_server import FileServer
from integration.live_fakes import OneFaceDetector
from integration.mjpeg_server import MjpegServer
from integration.rtsp_server import RtspServer
from integration.source_watching import Watched, children, good_again_when, wait_until, watched

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import StreamError
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sources import SourceConfig, open_source, watchdog

SERVERS = [MjpegServer, RtspServer]
PATIENT = {"connect_s": 500.0, "stall_s": 500.0, "frozen_s": 0.0}


class TestFirstConnection:
    def test_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(
            StreamError, match=rf"cannot open the stream rtsp://127\.0\.0\.1:{port}/a: .*Connection refused.*Fix: "
        ):
            open_source(f"rtsp://127.0.0.1:{port}/a")

    def test_server_that_never_answers(self, camera):
        camera.mode = "mute"
        with pytest.raises(StreamError, match=r"cannot open the stream .*: no answer within 0\.5 s\. Fix: "):
            open_source(camera.url(), SourceConfig(connect_s=0.5))

    def test_not_a_video(self, mjpeg_camera):
        mjpeg_camera.mode = "garbage"
        with pytest.raises(StreamError, match=r"cannot open the stream .*: .*Invalid data"):
            open_source(mjpeg_camera.url())

    def test_keep_trying(self, mjpeg_camera, no_delay):
        mjpeg_camera.die()
        with watched(mjpeg_camera.url(), keep_trying=True) as seen:
            health = seen.source.health
            assert health.state == "connecting"
            mending = threading.Thread(
                target=lambda: (wait_until(lambda: "Connection refused" in health.last_error), mjpeg_camera.listen())
            )
            mending.start()
            seen.until(lambda frame: frame.index >= 3)
            mending.join()
            assert (health.state, health.num_reconnects) == ("running", 0)

    def test_a_camera_that_is_waited_for_does_not_delay_another(self):
        """Not a minute: the patience of `connect_s` with the mute one is not over when the good one delivers."""
        config = SourceConfig(connect_s=60.0, keep_trying=True)
        with MjpegServer() as mute, MjpegServer() as good:
            mute.mode = "mute"
            sources = [open_source(server.url(), config) for server in (mute, good)]
            results = iter(LivePipeline(sources, OneFaceDetector(), FakeEngine()))
            with contextlib.closing(results):
                assert [next(results).frame.source for _ in range(3)] == [1, 1, 1]
                assert (sources[0].health.state, sources[0].health.last_error) == ("connecting", "")

    def test_a_recording_that_was_waited_for_is_not_thinned_out(self, tmp_path):
        write_squares(tmp_path / "a.mkv", 40)
        with FileServer(tmp_path) as server:
            source = open_source(server.url("a.mkv"), SourceConfig(keep_trying=True))
            detector, config = OneFaceDetector(), PipelineConfig(detect_every=3)
            snapshot = LivePipeline(source, detector, FakeEngine(), config=config).run()
        assert (snapshot.num_frames, snapshot.num_dropped) == (40, 0)
        assert detector.num_looks == 1 + 14  # the first frame, and the ends of chunks of three


def words_of(pid: int) -> list[bytes]:
    """Return the command and the environment of a process; nothing if it has just ended."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    return []


class TestSecrets:
    @pytest.mark.parametrize("server", SERVERS)
    def test_password_is_nowhere(self, server, caplog, capfd, no_delay):
        caplog.set_level(logging.DEBUG)
        with server(login="admin:geheim4711") as camera, watched(camera.url("admin:geheim4711")) as seen:
            health = seen.source.health
            seen.until(lambda frame: frame.index >= 3)
            camera.mode = "end"
            mending = good_again_when(camera, lambda: health.state == "reconnecting")
            seen.until(lambda frame: health.num_reconnects == 1)
            mending.join()
            told = [text for pid in children() for text in words_of(pid)]
        assert told
        assert not any(b"geheim" in text for text in told)
        assert "127.0.0.1" in health.last_error
        out, err = capfd.readouterr()
        assert not any("geheim" in text for text in (health.last_error, seen.source.name, caplog.text, out, err))

    @pytest.mark.parametrize("server", SERVERS)
    def test_wrong_password_is_said_but_not_shown(self, server):
        with server(login="admin:right") as camera:
            with pytest.raises(StreamError, match=r"://\*\*\*@127.*401 Unauthorized.*Fix: ") as caught:
                open_source(camera.url("admin:geheim4711"))
            assert "geheim" not in str(caught.value)

    def test_token_in_the_query(self, mjpeg_camera):
        with watched(mjpeg_camera.url(query="?token=geheim4711&w=3")) as seen:
            assert seen.source.name.endswith("/cam?token=***&w=***")

    @pytest.mark.parametrize("password", ["p/w", "p#w", "p?w", "p@s/w", "1/2"])
    def test_a_password_that_was_not_escaped_is_not_tried(self, password):
        """Its part behind the @ or before the sign would be asked for as a name."""
        with pytest.raises(StreamError) as caught:
            open_source(f"rtsp://Operator:{password}@127.0.0.1:1/live", SourceConfig(keep_trying=True))
        assert "Fix: in user, password, path and query write @ as %40, / as %2F, # as %23 and ? as %3F" in str(
            caught.value
        )
        assert "Operator" not in str(caught.value)
        assert password not in str(caught.value)


class TestStop:
    """Times are so long here that only the stop can have ended what is waited for."""

    def stopped(self, seen: Watched, when):
        """Stop the source from another thread when a condition holds, and return the frames that came until then."""
        stopping = threading.Thread(target=lambda: (wait_until(when), seen.source.stop()))
        stopping.start()
        frames = seen.rest()
        stopping.join()
        return frames

    def test_before_the_frames(self, mjpeg_camera):
        with watched(mjpeg_camera.url(), **PATIENT) as seen:
            seen.source.stop()
            assert seen.rest() == []

    def test_close_without_frames(self, mjpeg_camera):
        before = children()
        source = open_source(mjpeg_camera.url())
        assert children() > before
        source.close()
        assert children() == before

    def test_in_mid_stream(self, camera):
        with watched(camera.url(), **PATIENT) as seen:
            health = seen.source.health
            assert self.stopped(seen, lambda: health.state == "running")

    def test_while_nothing_comes(self, mjpeg_camera):
        before = children()
        with watched(mjpeg_camera.url(), **PATIENT) as seen:
            seen.until(lambda frame: frame.index >= 3)
            mjpeg_camera.mode = "silent"
            self.stopped(seen, lambda: True)
            assert (seen.source.health.num_stalls, seen.source.health.num_reconnects) == (0, 0)
        assert children() == before

    def test_while_it_connects(self, camera):
        camera.die()
        with watched(camera.url(), keep_trying=True, **PATIENT) as seen:
            camera.mode = "mute"
            num_clients = camera.num_clients
            camera.listen()
            assert self.stopped(seen, lambda: camera.num_clients > num_clients) == []

    def test_while_it_waits_to_try_again(self, mjpeg_camera, monkeypatch):
        delays = []
        monkeypatch.setattr(watchdog.random, "uniform", lambda low, high: delays.append(high) or 500.0)
        with watched(mjpeg_camera.url(), **PATIENT) as seen:
            mjpeg_camera.die()
            self.stopped(seen, lambda: bool(delays))
        assert delays == [watchdog.FIRST_DELAY_S]
