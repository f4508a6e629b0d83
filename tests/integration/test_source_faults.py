"""Cameras on the network that fail in every way, read by the real source: nothing is faked but the camera."""

import re
import threading

import pytest
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
            ("silent", r"sent no picture for 0\.7 s\. Fix: check the device or network"),
            ("end", r"(broke off|delivered no further frame) after \d+ frames"),
            ("garbage", r"sent no picture|broke off|cannot open"),
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
        assert re.search(
            r"repeated one picture for 0\.7 s\. Fix: .*frozen_s: 0 allows still pictures", health.last_error
        )

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
