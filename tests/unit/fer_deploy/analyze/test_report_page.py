"""The report in a browser: video, curves and zoom."""

import pytest
from unit.fer_deploy.analyze.report_page import KEYS, clock, drag, gray, mouse, place, ticks
from unit.fer_deploy.live.serve.chromium import CHROMIUM

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


class TestSeeking:
    def test_a_click_on_a_curve_goes_there(self, page):
        drag(page, ".plot", 0.5, 0.5)
        assert clock(page) == "0:02.00"
        page.wait_for("Math.abs(document.getElementById('video').currentTime - 2.001) < 0.01")
        assert gray(page) == 40 + 5 * 20
        cursors = page.value("[...document.querySelectorAll('.cursor')].map((cursor) => cursor.style.left)")
        assert [float(left.rstrip("%")) for left in cursors] == pytest.approx([50] * 4, abs=0.2)

    def test_dragging_along_an_axis_goes_through_the_video(self, page):
        drag(page, ".axis", 0.1, 0.75)
        assert clock(page) == "0:03.00"
        page.wait_for("Math.abs(document.getElementById('video').currentTime - 3.001) < 0.01")
        assert ticks(page)[0] == "0:00.0"  # not zoomed

    def test_the_overview_is_a_slider(self, page):
        drag(page, "#overview", 0.25, 0.25)
        slider = "document.getElementById('overview')"
        assert float(page.value(f"{slider}.ariaValueNow")) == pytest.approx(1, abs=0.02)
        assert page.value(f"{slider}.ariaValueMax") == "4.00"

    def test_arrows_step(self, page):
        page.value("keys('ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowLeft')")
        assert clock(page) == "0:00.20"
        page.value("keys('shift+ArrowRight', 'shift+ArrowRight', 'shift+ArrowLeft')")
        assert clock(page) == "0:01.20"
        page.wait_for("Math.abs(document.getElementById('video').currentTime - 1.201) < 0.01")

    def test_playing_moves_the_cursor(self, page):
        page.value("document.getElementById('video').muted = true; keys(' ')")
        page.wait_for("document.getElementById('clock').value > '0:00.30'")
        page.value("keys(' ')")
        page.wait_for("document.getElementById('video').paused")
        assert page.value("document.querySelector('button[data-do=play]').textContent") == "▶"

    def test_the_reading_of_the_moment(self, page):
        drag(page, ".plot", 0.15, 0.15)
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
        (first, *_) = page.value("[...document.querySelectorAll('.reading')].map((reading) => reading.textContent)")
        assert first == "0:00.60 · unreadable 50 %, dark 25 %, bright 25 % · low sharpness"
        drag(page, ".plot", 0.5, 0.5)
        assert page.value("document.querySelector('.reading').textContent") == "0:02.00 · not visible"


class TestZoom:
    def test_a_brush_zooms_and_a_double_click_shows_all(self, page):
        drag(page, ".plot", 0.25, 0.5)
        page.wait_for("document.querySelector('.axis').children[0].textContent === '0:01.0'")
        assert ticks(page)[-1] in ("0:01.9", "0:01.8")
        point = place(page, ".plot", 0.5)
        for clicks in (1, 2):
            mouse(page, "mousePressed", point, clicks)
            mouse(page, "mouseReleased", point, clicks)
        page.wait_for("document.querySelector('.axis').children[0].textContent === '0:00.0'")

    def test_keys_zoom_around_the_cursor(self, page):
        drag(page, ".plot", 0.5, 0.5)
        page.value("keys('+', '+')")
        page.wait_for("document.querySelector('.axis').children[0].textContent === '0:01.6'")
        page.value("keys('Escape')")
        page.wait_for("document.querySelector('.axis').children[0].textContent === '0:00.0'")

    def test_the_view_follows_the_cursor(self, page):
        page.value("keys('+', '+')")
        page.value("keys('shift+ArrowRight', 'shift+ArrowRight', 'shift+ArrowRight')")
        page.wait_for("document.querySelector('.axis').children[0].textContent > '0:02.0'")
        assert page.value("document.querySelector('.plot .cursor').hidden") is False


def test_colors_of_the_curve_and_of_the_band(page):
    """Unreadable for half of the time from a tenth to a fifth of the video; not visible from 0.4 to 0.6."""
    assert page.value("devicePixelRatio") == 1
    page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.value(
        """(() => { const canvas = document.querySelector('.plot canvas'), { width, height } = canvas;
        const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
        window.colorAt = (x, y) => { const first = 4 * (y * width + Math.floor(x * width));
            return pixels.slice(first, first + 4).join(); }; })()"""
    )
    assert page.value("colorAt(0.03, 60)") == "212,85,44,255"  # the first label, at the bottom
    assert page.value("colorAt(0.03, 10)") == "155,220,129,255"
    assert page.value("colorAt(0.15, 10)") == "84,60,12,255"  # unreadable
    assert page.value("colorAt(0.55, 60)") == "0,0,0,0"
    is_drawn = [page.value(f"colorAt({x}, {y})") != "0,0,0,0" for x in (0.03, 0.15) for y in (76, 85)]
    assert is_drawn == [False, True, True, True]  # the band is low where the face is readable
    assert page.value("colorAt(0.55, 85)") == "0,0,0,0"


def test_fingers_tap_and_swipe(page):
    def touch(kind, *points):
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=list(points))

    page.resize(390, 844, mobile=True)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        point = place(page, ".plot", 0.5)
        touch("touchStart", point)
        touch("touchEnd")
        page.wait_for("document.getElementById('clock').value.startsWith('0:02.0')")
        touch("touchStart", place(page, ".plot", 0.25))
        touch("touchMove", place(page, ".plot", 0.4))
        touch("touchMove", place(page, ".plot", 0.75))
        touch("touchEnd")
        page.wait_for("document.querySelector('.axis').children[0].textContent > '0:00.5'")
    finally:
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)
        page.resize(1280, 900)


def test_the_best_frame_of_a_person(page):
    assert page.value("[...document.querySelectorAll('.face img')].map((face) => face.alt)") == [
        "best frame of Ann, <i>B</i>"
    ]
    page.value("document.querySelector('.face').click()")
    page.wait_for("document.getElementById('best').open && document.getElementById('best-picture').naturalWidth === 64")
    assert page.value("document.getElementById('best-words').textContent") == "Ann, <i>B</i>, best seen at 0:01.00"
    page.value("keys('e')")  # no event behind the picture
    page.value("document.getElementById('best-go').click()")
    assert (clock(page), page.value("document.getElementById('best').open")) == ("0:01.00", False)
    assert page.value("document.querySelector('[data-do=event]').className") == ""


def test_without_the_video_a_file_is_asked_for(browser_of_report, report_folder, tmp_path):
    (tmp_path / "report.html").write_bytes((report_folder / "report.html").read_bytes())
    browser_of_report.open((tmp_path / "report.html").as_uri())
    browser_of_report.wait_for("!document.getElementById('pick').hidden")
    words = browser_of_report.value("document.getElementById('pick-words').textContent")
    assert words.startswith("annotated.mp4 is not here, or not for this browser. Choose")
    drag(browser_of_report, ".plot", 0.5, 0.5)
    assert clock(browser_of_report) == "0:02.00"
    document = browser_of_report.call("DOM.getDocument")["root"]["nodeId"]
    chooser = browser_of_report.call("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    browser_of_report.call("DOM.setFileInputFiles", nodeId=chooser, files=[str(report_folder / "annotated.mp4")])
    browser_of_report.wait_for(
        "document.getElementById('video').readyState >= 2 && document.getElementById('pick').hidden"
    )
    browser_of_report.wait_for("Math.abs(document.getElementById('video').currentTime - 2.001) < 0.01")
    browser_of_report.complaints.clear()


class TestRange:
    """The analysis began at one minute, and so did its annotated video."""

    @pytest.fixture
    def page(self, browser_of_report, report_folder, page):
        text = (report_folder / "report.html").read_text()
        assert '"start":0.0,"duration":4.0,' in text
        data = text.replace('"start":0.0,"duration":4.0,', '"start":60.0,"duration":64.0,')
        (report_folder / "range.html").write_text(data)
        page.open((report_folder / "range.html").as_uri())
        page.wait_for("document.getElementById('video').readyState >= 2")
        page.value(f"window.keys = {KEYS}; 0")
        return page

    def test_times_are_those_of_the_recording(self, page):
        assert clock(page) == "1:00.00"
        assert ticks(page)[0] == "1:00.0"
        drag(page, ".plot", 0.5, 0.5)
        assert clock(page) == "1:02.00"
        page.wait_for("Math.abs(document.getElementById('video').currentTime - 2.001) < 0.01")
        assert gray(page) == 40 + 5 * 20
        drag(page, "#overview", 0.75, 0.75)
        assert clock(page) == "1:03.00"
        drag(page, ".plot", 0.15, 0.15)
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
        reading = page.value("document.querySelector('.reading').textContent")
        assert reading == "1:00.60 · unreadable 50 %, dark 25 %, bright 25 % · low sharpness"
        page.value("keys('+', '+', 'Escape', 'ArrowRight')")
        assert clock(page) == "1:00.70"
        assert page.value("document.getElementById('said').textContent") == ""
