import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_deploy.errors import SinkError
from fer_deploy.live import sinks as sinks_module
from fer_deploy.live.sinks import JsonlSink, WindowSink

PICTURE = np.zeros((8, 8, 3), dtype=np.uint8)


class TestJsonlSink:
    def test_one_object_a_line_flushed_at_once(self, tmp_path, make_result):
        path = tmp_path / "deep" / "a.jsonl"
        with JsonlSink(path) as sink:
            assert sink.needs_picture is False
            for index in range(3):
                assert sink.write(make_result(index), None) is True
                assert len(path.read_text().splitlines()) == index + 1, "can be followed while it grows"
        assert json.loads(path.read_text().splitlines()[1]) == {
            "frame": 1,
            "time_s": 0.1,
            "faces": [
                {
                    "box_xyxy": [10, 30, 60, 80],
                    "emotion": "bright",
                    "confidence": 0.75,
                    "probs": {"dark": 0.25, "bright": 0.75},
                }
            ],
        }

    def test_name_of_a_picture(self, tmp_path, make_result):
        with JsonlSink(tmp_path / "a.jsonl") as sink:
            sink.write(make_result(name="ä.png", boxes=()), None)
        line = json.loads((tmp_path / "a.jsonl").read_text())
        assert line == {"frame": 0, "time_s": 0.0, "name": "ä.png", "faces": []}

    def test_existing_file_is_replaced(self, tmp_path):
        (tmp_path / "a.jsonl").write_text("old\n")
        JsonlSink(tmp_path / "a.jsonl").close()
        assert (tmp_path / "a.jsonl").read_text() == ""

    def test_cannot_be_opened(self, tmp_path):
        with pytest.raises(SinkError, match=r"cannot write .*: Is a directory\. Fix: another --jsonl"):
            JsonlSink(tmp_path)

    def test_disk_full(self, make_result):
        sink = JsonlSink(Path("/dev/full"))
        with pytest.raises(SinkError, match=r"cannot write /dev/full: No space left on device\. The lines before"):
            sink.write(make_result(), None)
        with pytest.raises(SinkError, match=r"cannot finish /dev/full: No space left"):
            sink.close()


class FakeWindow:
    """Stands in for OpenCV's windows; gives the keys of `keys`, one a call."""

    def __init__(self, monkeypatch) -> None:
        self.keys: list[int] = []
        self.visible = 1.0
        self.waits_ms: list[int] = []
        self.shown = 0
        self.sizes: list[tuple[int, int]] = []
        self.destroyed = 0
        monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: None)
        monkeypatch.setattr(cv2, "resizeWindow", lambda title, width, height: self.sizes.append((width, height)))
        monkeypatch.setattr(cv2, "imshow", self.show)
        monkeypatch.setattr(cv2, "waitKey", self.wait)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda title, key: self.visible)
        monkeypatch.setattr(cv2, "destroyAllWindows", self.destroy)

    def show(self, title, picture) -> None:
        self.shown += 1

    def wait(self, wait_ms: int) -> int:
        self.waits_ms.append(wait_ms)
        return self.keys.pop(0) if self.keys else -1

    def destroy(self) -> None:
        self.destroyed += 1


@pytest.fixture
def window(monkeypatch):
    return FakeWindow(monkeypatch)


class TestWindowSink:
    @pytest.mark.parametrize(
        ("key", "goes_on"), [(-1, True), (ord("x"), True), (ord("q"), False), (27, False), (0x100071, False)]
    )
    def test_keys(self, window, make_result, key, goes_on):
        window.keys = [key]
        with WindowSink("t", is_live=True) as sink:
            assert sink.needs_picture is True
            assert sink.write(make_result(), PICTURE) is goes_on
        assert (window.shown, window.destroyed) == (1, 1)

    def test_takes_the_size_of_the_first_picture(self, window, make_result):
        with WindowSink("t", is_live=True) as sink:
            sink.write(make_result(0), PICTURE[:4])
            sink.write(make_result(1), PICTURE)
        assert window.sizes == [(8, 4)]

    def test_closed_by_the_user(self, window, make_result):
        with WindowSink("t", is_live=True) as sink:
            assert sink.write(make_result(), PICTURE) is True
            window.visible = 0.0
            assert sink.write(make_result(1), PICTURE) is False

    @pytest.mark.parametrize(("is_live", "waits_ms"), [(False, [1, 100, 180, 1]), (True, [1, 1, 1, 1])])
    def test_recordings_are_shown_at_their_own_speed(self, window, make_result, monkeypatch, is_live, waits_ms):
        """Frames of 0.0, 0.1, 0.2 and 0.3 s come at 5.000, 5.000, 5.020 and 6.000 s."""
        clock_s = [0.0]
        results = [make_result(index, time_s=index / 10) for index in range(4)]
        monkeypatch.setattr(sinks_module.time, "monotonic_ns", lambda: round(clock_s[0] * 1e9))
        with WindowSink("t", is_live=is_live) as sink:
            for clock_s[0], result in zip([5.0, 5.0, 5.02, 6.0], results, strict=True):
                sink.write(result, PICTURE)
        assert window.waits_ms == waits_ms

    def test_no_window(self, window, monkeypatch):
        def refuse(title, flags):
            raise cv2.error("not implemented")

        monkeypatch.setattr(cv2, "namedWindow", refuse)
        with pytest.raises(SinkError, match=r"cannot open a window: .*not implemented.*Fix: --no-display"):
            WindowSink("t", is_live=True)
