"""Cameras on the network that fail in every way, read by the real source: nothing is faked but the camera."""

import re
import threading

import av
import pytest
from integration.camera_server import picture
from integration.file_server import FileServer
from integration.mjpeg_server import MjpegServer
from integration.source_watching import good_again_when, wait_until, watched

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import StreamSource


class TestGoodStream:
    def test_frames_come_in_order(self, camera):
        with watched(camera.url()) as camera_seen:
            source = camera_seen.source
            assert isinstance(source, StreamSource)
            assert (source.is_live, source.num_frames) == (True, None)
            assert source.health.state == "connecting"
            last = camera_seen.until(lambda frame: frame.index >= 20)
            assert source.health.state == "running"
        assert last.frame_bgr.shape == (48, 64, 3)
        indices = [frame.index for frame in camera_seen.seen]
        times = [frame.time_s for frame in camera_seen.seen]
        assert indices == sorted(set(indices))
        assert times == sorted(times)
        assert times[0] == 0
        assert source.health.num_corrupt == source.health.num_reconnects == 0
        assert source.health.state == "ended"

    @pytest.mark.parametrize("mode", ["good", "damaged"])
    def test_what_nobody_took_in_time_is_counted(self, mjpeg_camera, mode):
        """Nobody takes a frame until the camera has sent many more: only the newest is left of them."""
        with watched(mjpeg_camera.url()) as seen:
            mjpeg_camera.mode = mode
            health = seen.source.health
            first = seen.until(lambda frame: True)
            num_before = mjpeg_camera.num_sent
            wait_until(lambda: mjpeg_camera.num_sent >= num_before + 30)
            num_taken = 1
            num_corrupt = health.num_corrupt
            for _ in range(20):
                frame = seen.until(lambda frame: True)
                num_taken += 1
                missing = frame.index - first.index + 1 - num_taken
                assert missing == health.num_overtaken + health.num_corrupt - num_corrupt
            assert health.num_overtaken >= 10

    def test_pixels_are_those_of_the_camera(self, mjpeg_camera):
        mjpeg_camera.mode = "still"
        with watched(mjpeg_camera.url(), frozen_s=0.0) as seen:
            frame = seen.until(lambda frame: True)
        assert 15 < frame.frame_bgr.mean() < 45  # noise of 0 to 20 around level 20

    def test_frames_are_the_consumers_own(self, mjpeg_camera):
        with watched(mjpeg_camera.url()) as seen:
            first = seen.until(lambda frame: True)
            before = first.frame_bgr.copy()
            seen.until(lambda frame: frame.index >= first.index + 8)
        assert (first.frame_bgr == before).all()


@pytest.mark.usefixtures("no_delay")
class TestFaults:
    @pytest.mark.parametrize(
        ("mode", "reason"),
        [
            ("silent", r"sent no frame for 0\.7 s\. Fix: check the device or network"),
            ("end", r"(broke off|delivered no further frame) after \d+ frames"),
            ("garbage", r"sent no frame|broke off|cannot open"),
        ],
    )
    def test_comes_back(self, camera, mode, reason):
        with watched(camera.url()) as seen:
            health = seen.source.health
            before = seen.until(lambda frame: frame.index >= 3)
            camera.mode = mode
            mending = good_again_when(camera, lambda: health.state == "reconnecting")
            after = seen.until(lambda frame: health.num_reconnects == 1)
            mending.join()
            assert after.index > before.index
            assert after.time_s > before.time_s
            assert health.state == "running"
            assert camera.num_clients >= 2
            assert re.search(reason, health.last_error)
            if mode == "silent":
                assert health.num_stalls >= 1

    def test_frozen_picture(self, mjpeg_camera):
        with watched(mjpeg_camera.url()) as seen:
            health = seen.source.health
            seen.until(lambda frame: frame.index >= 3)
            mjpeg_camera.mode = "still"
            mending = good_again_when(mjpeg_camera, lambda: health.num_frozen == 1)
            seen.until(lambda frame: health.num_reconnects >= 1)
            mending.join()
            assert health.num_stalls == 0
        assert re.search(r"repeated one frame for 0\.7 s\. Fix: .*frozen_s: 0 allows still pictures", health.last_error)

    def test_still_pictures_can_be_allowed(self, mjpeg_camera):
        mjpeg_camera.mode = "still"
        with watched(mjpeg_camera.url(), frozen_s=0.0) as seen:
            seen.until(lambda frame: frame.time_s > 1.5)
            assert seen.source.health.num_frozen == seen.source.health.num_reconnects == 0

    def test_damaged_pictures_are_skipped_and_counted(self, camera):
        with watched(camera.url()) as seen:
            health = seen.source.health
            seen.until(lambda frame: frame.index >= 3)
            camera.mode = "damaged"
            seen.until(lambda frame: health.num_corrupt >= 5)
            assert health.num_reconnects == 0

    def test_size_changes_in_mid_stream(self, camera):
        with watched(camera.url()) as seen:
            seen.until(lambda frame: frame.index >= 3)
            for size in ((160, 120), (32, 24), (64, 48)):  # larger than the shared memory, smaller, as before
                camera.size = size
                frame = seen.until(lambda frame, size=size: frame.frame_bgr.shape == (size[1], size[0], 3))
                assert frame.frame_bgr.mean() > 10
            assert seen.source.health.num_size_changes == 3
            assert seen.source.health.num_reconnects == 0

    def test_server_dies_and_comes_back_on_its_port(self, camera):
        with watched(camera.url()) as seen:
            health = seen.source.health
            before = seen.until(lambda frame: frame.index >= 3)
            camera.die()

            def revive():
                wait_until(lambda: "refused" in health.last_error)
                camera.listen()

            reviving = threading.Thread(target=revive)
            reviving.start()
            after = seen.until(lambda frame: health.num_reconnects == 1)
            reviving.join()
            assert after.index > before.index
            assert after.time_s > before.time_s

    def test_gives_up_after_max_reconnects(self, mjpeg_camera):
        with watched(mjpeg_camera.url(), max_reconnects=2) as seen:
            seen.until(lambda frame: frame.index >= 3)
            mjpeg_camera.die()
            with pytest.raises(
                StreamError, match=r"failed 3 times in a row, the last time: cannot open the stream .*refused"
            ):
                seen.rest()
            assert seen.source.health.num_reconnects == 0


FPS = 25


def write_playlist(folder, *, num: int, has_end: bool):
    """Write `live.m3u8` of `num` segments of a second each."""
    for number in range(num):
        with av.open(str(folder / f"{number}.ts"), "w") as container:
            stream = container.add_stream("libx264", rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for index in range(number * FPS, (number + 1) * FPS):
                frame = av.VideoFrame.from_ndarray(picture(index, width=64, height=48), format="bgr24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    segments = "".join(f"#EXTINF:1.0,\n{number}.ts\n" for number in range(num))
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
    (folder / "live.m3u8").write_text(head + segments + ("#EXT-X-ENDLIST\n" if has_end else ""))


@pytest.mark.usefixtures("no_delay")
class TestWhatCountsAsLive:
    """A size alone makes no recording."""

    def test_playlist_without_end(self, tmp_path):
        write_playlist(tmp_path, num=3, has_end=False)
        with FileServer(tmp_path) as server, watched(server.url("live.m3u8"), stall_s=4.0) as seen:
            assert seen.source.is_live
            last = seen.until(lambda frame: frame.index >= 2 * FPS)
            assert last.time_s > 1  # at the camera's pace, not as fast as the segments can be read
            seen.until(lambda frame: seen.source.health.num_reconnects == 1)
            assert seen.source.health.num_stalls == 1

    def test_playlist_with_an_end(self, tmp_path):
        write_playlist(tmp_path, num=2, has_end=True)
        with FileServer(tmp_path) as server, watched(server.url("live.m3u8")) as seen:
            assert not seen.source.is_live
            assert len(seen.rest()) == 2 * FPS

    def test_camera_that_makes_up_a_size(self):
        with MjpegServer() as camera:
            camera.extra_head = b"Content-Length: 100000000\r\n"
            with watched(camera.url()) as seen:
                health = seen.source.health
                assert seen.source.is_live
                seen.until(lambda frame: frame.index >= 3)
                camera.mode = "end"
                mending = good_again_when(camera, lambda: health.state == "reconnecting")
                seen.until(lambda frame: health.num_reconnects == 1)
                mending.join()
