import cv2
import numpy as np
import pytest

from fer_deploy.errors import SinkError
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.sinks import WindowSink
from fer_deploy.live.sinks import window as window_module
from fer_deploy.live.sinks.video.mosaic import Mosaic

PICTURE = np.zeros((8, 8, 3), dtype=np.uint8)


class FakeWindow:
    """Stands in for OpenCV's windows; gives the keys of `keys`, one a wait.

    After `visible_waits` waits the user closes it.
    """

    def __init__(self, monkeypatch) -> None:
        self.keys: list[int] = []
        self.visible = 1.0
        self.visible_waits: int | None = None
        self.clock_s = [0.0]
        self.waits_ms: list[int] = []
        self.shown = 0
        self.last = PICTURE
        self.sizes: list[tuple[int, int]] = []
        self.destroyed = 0
        self.flags: list[int] = []
        monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: self.flags.append(flags))
        monkeypatch.setattr(cv2, "resizeWindow", lambda title, width, height: self.sizes.append((width, height)))
        monkeypatch.setattr(cv2, "imshow", self.show)
        monkeypatch.setattr(cv2, "waitKey", self.wait)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda title, key: self.visible)
        monkeypatch.setattr(cv2, "destroyAllWindows", self.destroy)

    def show(self, title, picture) -> None:
        self.shown += 1
        self.last = picture.copy()

    def wait(self, wait_ms: int) -> int:
        self.waits_ms.append(wait_ms)
        self.clock_s[0] += wait_ms / 1000
        if self.visible_waits is not None:
            self.visible_waits -= 1
            self.visible = float(self.visible_waits > 0)
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
            assert (sink.needs_picture, sink.needs_main_thread) == (True, True)
            assert sink.write(make_result(), PICTURE) is goes_on
        assert (window.shown, window.destroyed) == (1, 1)

    @pytest.mark.parametrize(("is_live", "time_s"), [(True, 9.0), (False, 0.1)])
    def test_keys_note_events(self, window, make_result, tmp_path, is_live, time_s):
        """Of a recording, the time is that of the frame in the window: other outputs are ahead of it."""
        log = EventLog(tmp_path / "events.csv", now_ns=lambda: 0)
        log.note_frame(0, 9.0, 0, is_live=is_live)
        window.keys = [-1, ord(" ")]
        with WindowSink("t", is_live=is_live, events=log) as sink:
            for index in range(3):
                assert sink.write(make_result(index, time_s=index / 10), np.zeros((120, 160, 3), np.uint8))
        log.close(is_incomplete=False)
        (row,) = (tmp_path / "events.csv").read_text().splitlines()[1:]
        assert row == f"{time_s},{time_s + 1},mark,mark,0,,"
        assert window.last.any(), "the mark is shown for a moment"

    @pytest.mark.parametrize(("key", "goes_on"), [(-1, True), (ord("q"), False), (27, False)])
    def test_keys_while_no_frame_comes(self, window, key, goes_on):
        window.visible = 0.0  # as a toolkit says of a window that has shown nothing yet
        window.keys = [key]
        with WindowSink("t", is_live=True) as sink:
            assert sink.idle() is goes_on

    def test_closed_by_the_user_while_no_frame_comes(self, window, make_result):
        with WindowSink("t", is_live=True) as sink:
            sink.write(make_result(), PICTURE)
            window.visible = 0.0
            assert sink.idle() is False

    def test_several_sources_share_it(self, window, make_result):
        with WindowSink("t", is_live=True, num_sources=3) as sink:
            sink.write(make_result(source=2), PICTURE + 200)
        assert window.sizes == [(16, 16)]
        assert (window.last[8:, :8] == 200).all()
        assert window.last.sum() == 200 * PICTURE.size

    def test_a_picture_that_cannot_be_shown(self, window, make_result, monkeypatch):
        def refuse(title, picture):
            raise cv2.error("the screen is gone")

        monkeypatch.setattr(cv2, "imshow", refuse)
        with (
            WindowSink("t", is_live=True) as sink,
            pytest.raises(SinkError, match=r"cannot show a picture: .*the screen is gone.*Fix: --no-display"),
        ):
            sink.write(make_result(), PICTURE)

    def test_takes_the_size_of_the_first_picture(self, window, make_result):
        with WindowSink("t", is_live=True) as sink:
            sink.write(make_result(0), PICTURE[:4])
            sink.write(make_result(1), PICTURE)
        assert window.sizes == [(8, 4)]

    def test_has_no_toolbar_and_keeps_the_ratio(self, window):
        with WindowSink("t", is_live=True):
            assert window.flags == [cv2.WINDOW_GUI_NORMAL | cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO]

    @pytest.mark.parametrize(
        ("picture", "opened"),
        [((160, 120), (160, 120)), ((1600, 900), (1600, 900)), ((3840, 2160), (1600, 900)), ((1080, 1920), (506, 900))],
    )
    def test_opens_at_the_size_of_the_picture_or_of_a_screen(self, window, make_result, picture, opened):
        with WindowSink("t", is_live=True) as sink:
            sink.write(make_result(), np.zeros((picture[1], picture[0], 3), dtype=np.uint8))
        assert window.sizes == [opened]

    def test_closed_by_the_user(self, window, make_result):
        with WindowSink("t", is_live=True) as sink:
            assert sink.write(make_result(), PICTURE) is True
            window.visible = 0.0
            assert sink.write(make_result(1), PICTURE) is False

    @pytest.mark.parametrize(("is_live", "waits_ms"), [(False, [1, 100, 100, 80, 1]), (True, [1, 1, 1, 1])])
    def test_recordings_are_shown_at_their_own_speed(self, window, make_result, monkeypatch, is_live, waits_ms):
        """Frames of 0.0, 0.1, 0.2 and 0.3 s come at 5.000, 5.000, 5.020 and 6.000 s."""
        clock_s = window.clock_s
        results = [make_result(index, time_s=index / 10) for index in range(4)]
        monkeypatch.setattr(window_module.time, "monotonic_ns", lambda: round(clock_s[0] * 1e9))
        with WindowSink("t", is_live=is_live) as sink:
            for clock_s[0], result in zip([5.0, 5.0, 5.02, 6.0], results, strict=True):
                sink.write(result, PICTURE)
        assert window.waits_ms == waits_ms

    @pytest.mark.parametrize("key", [ord("q"), -1])
    def test_a_long_gap_is_left_when_the_user_ends(self, window, make_result, monkeypatch, key):
        monkeypatch.setattr(window_module.time, "monotonic_ns", lambda: round(window.clock_s[0] * 1e9))
        with WindowSink("t", is_live=False) as sink:
            assert sink.write(make_result(0), PICTURE) is True
            window.keys = [-1, -1, key]
            window.visible_waits = 3 if key == -1 else None
            assert sink.write(make_result(1, time_s=3600.0), PICTURE) is False
        assert window.waits_ms == [1, 100, 100, 100]

    def test_no_window(self, window, monkeypatch):
        def refuse(title, flags):
            raise cv2.error("not implemented")

        monkeypatch.setattr(cv2, "namedWindow", refuse)
        with pytest.raises(SinkError, match=r"cannot open a window: .*not implemented.*Fix: --no-display"):
            WindowSink("t", is_live=True)


class TestMosaic:
    def test_one_source_is_passed_through(self):
        assert Mosaic(1).show(0, PICTURE) is PICTURE

    @pytest.mark.parametrize(("num", "shape"), [(2, (8, 16, 3)), (3, (16, 16, 3)), (5, (16, 24, 3))])
    def test_grid(self, num, shape):
        mosaic = Mosaic(num)
        for source in range(num):
            whole = mosaic.show(source, np.full((8, 8, 3), source + 1, dtype=np.uint8))
        assert whole.shape == shape
        assert sorted(np.unique(whole)) == [0] * (num in (3, 5)) + list(range(1, num + 1))

    def test_other_sizes_are_fitted_into_their_cell(self):
        mosaic = Mosaic(2)
        mosaic.show(0, np.full((8, 8, 3), 50, dtype=np.uint8))
        whole = mosaic.show(1, np.full((40, 20, 3), 90, dtype=np.uint8))
        assert whole.shape == (8, 16, 3)
        assert (whole[:, :8] == 50).all()
        assert (whole[:, 10:14] == 90).all()
        assert (whole[:, 8] == 0).all()
