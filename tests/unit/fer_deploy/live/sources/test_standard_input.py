import os
import threading

import cv2
import numpy as np
import pytest
from integration.source_watching import wait_until

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import PipeSource, SourceConfig
from fer_deploy.live.sources.standard_input import RawLayout, open_pipe


def jpeg(level, *, width=64, height=48):
    noise = np.random.default_rng(level).integers(0, 20, (height, width, 3), dtype=np.uint8)
    ok, content = cv2.imencode(".jpg", noise + np.uint8(level))
    assert ok
    return content.tobytes()


@pytest.fixture
def pipe():
    """Two descriptors: to read from, and an open file to write to."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as file:
        yield reading, file
    os.close(reading)


def drain(source):
    guard = threading.Timer(30, source.stop)
    guard.start()
    try:
        return list(source.frames())
    finally:
        guard.cancel()
        guard.join()
        source.close()


class TestMjpeg:
    def test_every_picture_of_a_pipe(self, pipe):
        reading, file = pipe
        file.write(b"".join(jpeg(40 * i) for i in range(5)))
        file.close()
        source = PipeSource(None, SourceConfig(), reading)
        assert source.is_live
        frames = drain(source)
        assert [frame.index for frame in frames] == list(range(5))
        assert [frame.frame_bgr.mean() for frame in frames] == pytest.approx([40 * i + 9.5 for i in range(5)], abs=4)
        assert [frame.time_s for frame in frames] == sorted(frame.time_s for frame in frames)
        assert source.health.state == "running"

    def test_broken_pictures_are_counted(self, pipe):
        reading, file = pipe
        whole = jpeg(50)
        file.write(whole + whole[: len(whole) // 2] + whole)
        file.close()
        source = PipeSource(None, SourceConfig(), reading)
        assert len(drain(source)) == 2
        assert source.health.num_corrupt == 1

    def test_another_size(self, pipe):
        reading, file = pipe
        file.write(jpeg(50) + jpeg(60, width=32, height=24))
        file.close()
        source = PipeSource(None, SourceConfig(), reading)
        assert [frame.frame_bgr.shape for frame in drain(source)] == [(48, 64, 3), (24, 32, 3)]
        assert source.health.num_size_changes == 1

    def test_redirected_file_is_a_recording(self, tmp_path):
        path = tmp_path / "a.mjpeg"
        path.write_bytes(jpeg(50) + jpeg(60))
        with path.open("rb") as file:
            source = PipeSource(None, SourceConfig(), file.fileno())
            assert source.is_live is False
            assert [frame.time_s for frame in drain(source)] == pytest.approx([0, 1 / source.fps])

    def test_container_that_ffmpeg_recognizes(self, write_video):
        with write_video("a.mkv", "mp4v").open("rb") as file:
            frames = drain(PipeSource(None, SourceConfig(), file.fileno()))
        assert len(frames) == 6

    @pytest.mark.parametrize("before", [b"", b"a line that something else has read\n"])
    def test_an_mp4_whose_index_is_at_its_end(self, write_video, tmp_path, before):
        """As FFmpeg writes them by default; where a file can be gone back in, that is no obstacle."""
        video = write_video("a.mp4", "mp4v").read_bytes()
        assert video.index(b"moov") > video.index(b"mdat")
        (tmp_path / "behind").write_bytes(before + video)
        with (tmp_path / "behind").open("rb", buffering=0) as file:
            assert file.read(len(before)) == before
            frames = drain(PipeSource(None, SourceConfig(), file.fileno()))
        assert [frame.index for frame in frames] == list(range(6))

    @pytest.mark.parametrize("content", [b"", b"hello, I am a text\n" * 50])
    def test_no_pictures(self, pipe, content):
        reading, file = pipe
        file.write(content)
        file.close()
        with pytest.raises(StreamError, match=r"standard input has neither MJPEG .*Fix: raw frames need --source raw:"):
            drain(PipeSource(None, SourceConfig(), reading))


class TestRaw:
    @pytest.mark.parametrize("layout", ["bgr24", "gray", "yuv420p"])
    def test_layouts(self, pipe, layout):
        reading, file = pipe
        picture = np.zeros((4, 6, 3), np.uint8)
        picture[:2] = 200
        content = {
            "bgr24": picture,
            "gray": picture[:, :, 0].copy(),
            "yuv420p": cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420),
        }[layout].tobytes()
        file.write(2 * content)
        file.close()
        source = PipeSource(RawLayout(6, 4, 10.0, layout), SourceConfig(), reading)
        frames = drain(source)
        assert source.fps == 10.0
        assert len(frames) == 2
        for frame in frames:
            assert np.abs(frame.frame_bgr.astype(int) - picture).max() <= 2

    def test_half_a_frame_at_the_end_is_counted(self, pipe):
        reading, file = pipe
        file.write(bytes(4 * 6 * 3 + 10))
        file.close()
        source = PipeSource(RawLayout(6, 4, 10.0, "bgr24"), SourceConfig(), reading)
        assert len(drain(source)) == 1
        assert source.health.num_corrupt == 1
        assert source.health.last_error == "the last frame had 10 bytes, expected 72"

    def test_not_one_frame(self, pipe):
        reading, file = pipe
        file.close()
        with pytest.raises(StreamError, match=r"standard input ended before the first whole frame\. Fix: "):
            drain(PipeSource(RawLayout(6, 4, 10.0, "bgr24"), SourceConfig(), reading))

    @pytest.mark.parametrize(
        "text", ["raw:", "raw:640", "raw:0x5", "raw:4x4@0", "raw:4x4:rgb", "raw:4x4@30:bgr24:x", "raw:-4x4"]
    )
    def test_malformed(self, text):
        with pytest.raises(StreamError, match=r"cannot read raw frames as .*Expected raw:WIDTHxHEIGHT.*raw:640x480@30"):
            open_pipe(text, SourceConfig())

    def test_odd_sides_do_not_go_with_subsampling(self):
        with pytest.raises(StreamError, match=r"yuv420p needs even sides.*Fix: --source raw:4x6:yuv420p"):
            open_pipe("raw:5x7:yuv420p", SourceConfig())


class TestWaiting:
    @pytest.mark.parametrize("raw", [None, RawLayout(6, 4, 10.0, "bgr24")])
    @pytest.mark.parametrize("content", [b"", jpeg(50)[:30]])
    def test_stops_while_it_waits(self, pipe, raw, content):
        reading, file = pipe
        file.write(content)
        source = PipeSource(raw, SourceConfig(), reading)
        frames: list = []
        thread = threading.Thread(target=lambda: frames.extend(source.frames()))
        thread.start()
        source.stop()
        thread.join(30)
        assert not thread.is_alive()
        assert frames == []

    def test_stop_before_the_frames(self, pipe):
        source = PipeSource(None, SourceConfig(), pipe[0])
        source.stop()
        assert list(source.frames()) == []

    def test_stall_is_counted_and_waited_for(self, pipe):
        reading, file = pipe
        source = PipeSource(RawLayout(6, 4, 10.0, "bgr24"), SourceConfig(stall_s=0.01), reading)
        late = threading.Timer(0.3, lambda: (file.write(bytes(72)), file.close()))
        late.start()
        assert len(drain(source)) == 1
        late.join()
        assert (source.health.num_stalls, source.health.state) == (1, "running")

    @pytest.mark.parametrize("num_frames_before", [0, 1])
    def test_stall_is_told_while_it_lasts(self, pipe, num_frames_before):
        reading, file = pipe
        source = PipeSource(RawLayout(6, 4, 10.0, "bgr24"), SourceConfig(stall_s=0.01), reading)
        health = source.health
        file.write(bytes(72 * num_frames_before))
        thread = threading.Thread(target=drain, args=[source])
        thread.start()
        wait_until(lambda: health.state == "stalled")
        assert (health.num_stalls, health.last_error) == (
            1,
            "standard input sent nothing for 0.01 s. Fix: check the program that writes to it",
        )
        file.write(bytes(72))
        wait_until(lambda: health.state == "running" or health.num_stalls == 2)
        file.close()
        thread.join(30)
        assert health.state == "running"

    def test_a_shell_that_closed_it(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", None)
        with pytest.raises(StreamError, match=r"standard input is closed\. Fix: camera-program \|"):
            PipeSource(None, SourceConfig())

    def test_closed_descriptor(self):
        with pytest.raises(StreamError, match=r"cannot read standard input: Bad file descriptor\. Fix: "):
            PipeSource(None, SourceConfig(), 999_999)
