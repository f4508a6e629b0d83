from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.codec.codec import UnknownCodecError
from unit.fer_deploy.live.sinks.recorded_videos import frames_of, picture_of, times_of

from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.live.drawing.overlay import Drawing
from fer_deploy.live.outlet import Outlet
from fer_deploy.live.sinks import VideoSink
from fer_deploy.live.sinks.video import codecs as video_codecs
from fer_deploy.live.sinks.video.codecs import choose_encoding


def record(path: Path, pictures, result, fps: float = 10.0) -> None:
    with VideoSink(path, fps) as sink:
        for picture in pictures:
            assert sink.write(result, picture) is True


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".MP4"])
@pytest.mark.parametrize("fps", [2.0, 10.0, 23.976, 30.0, 240.0])
@pytest.mark.parametrize("num", [1, 7, 50])
def test_every_frame_can_be_read_back(tmp_path, make_result, suffix, fps, num):
    path = tmp_path / "new" / f"a{suffix}"
    record(path, [picture_of(64, 48)] * num, make_result(), fps)
    frames = frames_of(path)
    assert len(frames) == num
    assert all(abs(int(frame[24, 32, 0]) - 120) < 6 for frame in frames)
    np.testing.assert_allclose(times_of(path), np.arange(num) / fps, atol=0.002)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_browsers_play_what_is_inside(tmp_path, make_result, suffix):
    path = tmp_path / f"a{suffix}"
    record(path, [picture_of(64, 48)] * 5, make_result())
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.color_range, codec.colorspace) == ("vp9", "yuv420p", 1, 6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("codec", "name"), [("x264", "h264"), ("av1", "libdav1d"), ("mpeg4", "mpeg4"), ("vp9", "vp9")])
def test_a_codec_by_choice(tmp_path, make_result, suffix, codec, name):
    path = tmp_path / f"a{suffix}"
    with VideoSink(path, 10.0, codec=codec) as sink:
        for _ in range(25):
            sink.write(make_result(), picture_of(128, 96))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == name
    frames = frames_of(path)
    assert len(frames) == 25
    assert all(abs(int(frame[48, 64, 0]) - 120) < 6 for frame in frames)


def test_an_avi_has_no_choice(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot record .*a\.avi in x264: an \.avi is Motion JPEG\. Fix: an \.mp4"):
        VideoSink(tmp_path / "a.avi", 10.0, codec="x264")
    assert list(tmp_path.iterdir()) == []


class TestBuildsWithoutAnEncoder:
    def without(self, monkeypatch, *encoders):
        def codec(name, mode):
            if name in encoders:
                raise UnknownCodecError(name)
            return SimpleNamespace(name=name)

        monkeypatch.setattr(video_codecs, "Codec", codec)

    @pytest.mark.parametrize(
        ("missing", "chosen"),
        [((), "libvpx-vp9"), (("libvpx-vp9",), "libsvtav1"), (("libvpx-vp9", "libsvtav1"), "mpeg4")],
    )
    def test_the_default_never_takes_x264(self, monkeypatch, missing, chosen):
        self.without(monkeypatch, *missing)
        assert choose_encoding().encoder == chosen

    def test_none_is_there(self, monkeypatch, tmp_path):
        self.without(monkeypatch, "libvpx-vp9", "libsvtav1", "mpeg4")
        with pytest.raises(ConfigError) as caught:
            VideoSink(tmp_path / "a.mp4", 10.0)
        assert str(caught.value) == (
            "cannot encode auto: this build of PyAV has no libvpx-vp9 or libsvtav1 or mpeg4; of the known codecs it "
            "has: x264. Fix: another --video-codec, or PyAV from its wheel: pip install av"
        )
        assert list(tmp_path.iterdir()) == []


def test_mp4_begins_with_its_index(tmp_path, make_result):
    record(tmp_path / "a.mp4", [picture_of(64, 48)] * 50, make_result())
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    assert b"moof" not in data


def test_avi_is_motion_jpeg(tmp_path, make_result):
    record(tmp_path / "a.avi", [picture_of(64, 48)] * 5, make_result())
    with av.open(str(tmp_path / "a.avi")) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
class TestTimesOfLiveSources:
    """Frames of a camera at about ten a second, whose clock says what `times_s` says."""

    def record(self, path, make_result, times_s) -> list[float]:
        with VideoSink(path, 10.0, is_live=True) as sink:
            for index, time_s in enumerate(times_s):
                sink.write(make_result(index, time_s=time_s), picture_of(64, 48))
        assert len(frames_of(path)) == len(times_s)
        return times_of(path)

    def test_a_dropped_frame_leaves_a_gap(self, tmp_path, make_result, suffix):
        times_s = self.record(tmp_path / f"a{suffix}", make_result, [7.0, 7.1, 7.2, 9.5, 9.6])
        np.testing.assert_allclose(times_s, [0, 0.1, 0.2, 2.5, 2.6], atol=0.002)

    def test_a_clock_that_goes_back_does_not_take_the_video_along(self, tmp_path, make_result, suffix):
        times_s = self.record(tmp_path / f"a{suffix}", make_result, [7.0, 7.1, 0.0, 0.1, 0.2])
        np.testing.assert_allclose(times_s, [0, 0.1, 0.2, 0.3, 0.4], atol=0.002)

    def test_equal_times_still_give_every_frame(self, tmp_path, make_result, suffix):
        times_s = self.record(tmp_path / f"a{suffix}", make_result, [1.0] * 5)
        assert times_s == sorted(set(times_s))


def test_uneven_times_are_kept(tmp_path, make_result):
    with VideoSink(tmp_path / "a.mp4", 30.0, is_live=True) as sink:
        for index, time_s in enumerate([1.0, 1.013, 1.09, 1.1]):
            sink.write(make_result(index, time_s=time_s), picture_of(64, 48))
    np.testing.assert_allclose(times_of(tmp_path / "a.mp4"), [0, 0.013, 0.09, 0.1], atol=0.0005)


def test_only_its_own_source_is_recorded_and_counted(tmp_path, make_result):
    outlet = Outlet(VideoSink(tmp_path / "a.mp4", 10.0, source=1), is_live=False)
    for index in range(6):
        result = make_result(index, source=index % 3)
        outlet.put((result, Drawing(result, result.faces[0].emotion.probs.labels)))
    outlet.finish()
    outlet.pump()
    assert (outlet.snapshot().num_written, outlet.snapshot().failure) == (2, "")
    assert len(frames_of(tmp_path / "a.mp4")) == 2


def test_its_file_is_told_once_it_is_whole(tmp_path, make_result, monkeypatch):
    sink = VideoSink(tmp_path / "a.mp4", 10.0)
    sink.write(make_result(), picture_of(64, 48))
    assert sink.files == ()
    sink.close()
    assert sink.files == (tmp_path / "a.mp4",)
    empty = VideoSink(tmp_path / "b.mp4", 10.0)
    empty.close()
    assert empty.files == ()


def test_folder_of_that_name(tmp_path, make_result):
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises(SinkError, match=r"cannot write .*b\.mp4: Is a directory\. Fix: another --record"):
        VideoSink(tmp_path / "b.mp4", 10.0)
    assert [path.name for path in tmp_path.iterdir()] == ["b.mp4"]
    sink = VideoSink(tmp_path / "a.mp4", 10.0)
    sink.write(make_result(), picture_of(64, 48))
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(SinkError, match=r"cannot rename .*part\.mp4 to .*Is a directory\. Fix: rename it by hand"):
        sink.close()
    assert sink.files == ()


@pytest.mark.parametrize(("size", "kept"), [((101, 51), (100, 50)), ((101, 50), (100, 50)), ((64, 49), (64, 48))])
def test_odd_sizes(tmp_path, make_result, size, kept):
    record(tmp_path / "a.mp4", [picture_of(*size)] * 3, make_result())
    frames = frames_of(tmp_path / "a.mp4")
    assert [frame.shape for frame in frames] == [(kept[1], kept[0], 3)] * 3
    assert abs(int(frames[0][24, 32, 0]) - 120) < 10


def test_changing_sizes_are_fitted_into_the_first(tmp_path, make_result):
    record(tmp_path / "a.avi", [picture_of(64, 48), picture_of(200, 48, 200), picture_of(10, 90, 200)], make_result())
    wide, tall = frames_of(tmp_path / "a.avi")[1:]
    assert wide.shape == tall.shape == (48, 64, 3)
    assert min(wide[24, 32].min(), tall[24, 32].min()) > 180
    assert max(wide[2, 32].max(), tall[24, 4].max()) < 30


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gif"])
def test_unknown_suffix(tmp_path, name):
    with pytest.raises(
        ConfigError, match=r"cannot record .*known video suffixes are \.mp4, \.mkv, \.avi\. Fix: another --record$"
    ):
        VideoSink(tmp_path / name, 10.0)
    assert list(tmp_path.iterdir()) == []


def test_zero_frames_leave_no_file(tmp_path):
    with VideoSink(tmp_path / "a.mp4", 10.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SinkError, match=r"cannot write .*a\.mp4: .*Fix: another --record"):
        VideoSink(tmp_path / "file" / "a.mp4", 10.0)
