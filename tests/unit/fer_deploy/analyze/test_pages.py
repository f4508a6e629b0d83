"""The pages on screens of all sizes, in a browser."""

from pathlib import Path

import pytest
from unit.fer_deploy.analyze.report.test_timeline import make_summary, make_timelines
from unit.fer_deploy.live.serve.chromium import CHROMIUM, Chromium

from fer_deploy.analyze.report.page import index_html, report_html
from fer_deploy.analyze.report.summary import Outcome
from fer_deploy.errors import StreamError

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
REASON = "cannot open the file as a video: Invalid data found when processing input. Fix: check that a player shows it"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    names = ["W" * 150 + ".mp4", "a.mp4"]
    outcomes = [Outcome(Path(name), folder / name, make_summary(1, video=name)) for name in names]
    outcomes += [Outcome(Path(name), folder / name, None, StreamError(REASON)) for name in ("b" * 200, "c.mp4")]
    (folder / "index.html").write_text(index_html(outcomes))
    summary = make_summary(3, video=names[0])
    (folder / "report.html").write_text(report_html(summary, make_timelines(summary), ["faces.csv"]))
    return folder


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", ["index.html", "report.html"])
def test_nothing_is_off_the_screen(chromium, pages, page, width):
    chromium.resize(width, 800, mobile=width < 600)
    chromium.open((pages / page).as_uri())
    assert chromium.value("document.documentElement.scrollWidth") == width
    # The report looks for the recording in three places, and there is none.
    assert not [text for text in chromium.complaints if "ERR_FILE_NOT_FOUND" not in text]


@pytest.mark.parametrize("width", [1280, 390])
def test_why_a_video_failed_is_legible(chromium, pages, width):
    chromium.resize(width, 800, mobile=width < 600)
    chromium.open((pages / "index.html").as_uri())
    size = "[cell.innerText, cell.clientWidth, cell.clientHeight]"
    told = chromium.value(f"[...document.querySelectorAll('td.failed')].map((cell) => {size})")
    assert [text for text, _, _ in told] == [f"failed: {REASON}"] * 2
    assert all(cell_width > 0.8 * min(width - 40, 1020) and height < 100 for _, cell_width, height in told)


def test_dark_where_the_system_is(chromium, pages):
    chromium.open((pages / "index.html").as_uri())
    grounds = []
    for scheme in ("light", "dark"):
        chromium.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        grounds.append(chromium.value("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(245, 246, 248)", "rgb(14, 17, 22)"]
