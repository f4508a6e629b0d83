from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.live.sinks import VideoSink, fit_picture


def picture_of(width: int, height: int, level: int = 120) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def record(path: Path, pictures, result, fps: float = 10.0) -> None:
    with VideoSink(path, fps) as sink:
        for picture in pictures:
            assert sink.write(result, picture) is True


def frames_of(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".MP4"])
@pytest.mark.parametrize("fps", [2.0, 10.0, 23.976, 30.0, 240.0])
@pytest.mark.parametrize("num", [1, 7, 50])
def test_every_frame_can_be_read_back(tmp_path, make_result, suffix, fps, num):
    path = tmp_path / "new" / f"a{suffix}"
    record(path, [picture_of(64, 48)] * num, make_result(), fps)
    assert len(frames_of(path)) == num
    assert [p.name for p in path.parent.iterdir()] == [path.name]


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
    with pytest.raises(ConfigError, match=r"cannot record .*known video suffixes are \.mp4, \.avi, \.mkv"):
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


def test_old_file_stands_until_the_new_one_is_whole(tmp_path, make_result):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    sink = VideoSink(path, 10.0)
    sink.write(make_result(), picture_of(64, 48))
    assert path.read_bytes() == b"old"
    sink.close()
    assert len(frames_of(path)) == 1


def test_incomplete_video_does_not_take_the_name(tmp_path, make_result, monkeypatch):
    path = tmp_path / "a.avi"
    path.write_bytes(b"old")
    sink = VideoSink(path, 10.0)
    for _ in range(3):
        sink.write(make_result(), picture_of(64, 48))
    monkeypatch.setattr(cv2.VideoCapture, "get", lambda capture, key: 2.0)
    with pytest.raises(SinkError, match=r"a\.\d+\.part\.avi is incomplete: 2 of 3 frames can be read"):
        sink.close()
    assert path.read_bytes() == b"old"


def test_writer_that_cannot_be_opened_keeps_the_old_file(tmp_path, make_result):
    """A picture of one pixel has no even size that a codec takes."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    sink = VideoSink(path, 10.0)
    with pytest.raises(SinkError, match=r"OpenCV cannot encode .*a\.mp4 \(1x1\)\. Fix: --record to \.avi"):
        sink.write(make_result(), picture_of(1, 1))
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"old"


class TestFitPicture:
    def test_same_size_is_left_alone(self):
        picture = picture_of(20, 10)
        assert fit_picture(picture, (20, 10)) is picture

    @pytest.mark.parametrize("size", [(20, 10), (10, 20), (7, 3), (1, 500), (500, 1)])
    def test_fills_one_side_and_centers(self, size):
        fitted = fit_picture(picture_of(*size), (40, 40))
        assert fitted.shape == (40, 40, 3)
        rows, columns = fitted.any(axis=(1, 2)), fitted.any(axis=(0, 2))
        assert rows.all() or columns.all()
        for mask in (rows, columns):
            assert abs(int(mask.argmax()) - int(mask[::-1].argmax())) <= 1, "centered"
        assert set(np.unique(fitted)) <= {0, 120}
