"""A browser and a report with a video, for the tests of the page."""

import cv2
import numpy as np
import pytest
from unit.fer_deploy.analyze.report.test_timeline import make_summary, make_timelines
from unit.fer_deploy.analyze.report_page import DURATION_S, FPS, KEYS, NAME
from unit.fer_deploy.live.serve.chromium import Chromium

from fer_deploy.analyze.people.pictures import PersonPicture
from fer_deploy.analyze.report.page import report_html
from fer_deploy.live.sinks import VideoSink
from fer_deploy.vision.types import Frame, FrameResult


@pytest.fixture(scope="module")
def browser_of_report(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        browser.resize(1280, 900)
        yield browser


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory):
    """A report of four seconds with its video: frame k has the gray level 40 + 5 k."""
    folder = tmp_path_factory.mktemp("film")
    summary = make_summary(3, duration_s=DURATION_S, video=NAME).model_copy(update={"fps": FPS})
    named = summary.people[1].model_copy(update={"name": "Ann, <i>B</i>"})
    summary = summary.model_copy(update={"people": (summary.people[0], named, summary.people[2])})
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    pictures = {12: PersonPicture(12, 10, 1.0, 5.0, jpeg, jpeg)}
    page = report_html(summary, make_timelines(summary), ["annotated.mp4"], pictures)
    (folder / "report.html").write_text(page)
    with VideoSink(folder / "annotated.mp4", FPS, is_live=False) as sink:
        for index in range(int(DURATION_S * FPS)):
            picture = np.full((64, 96, 3), 40 + 5 * index, dtype=np.uint8)
            sink.write(FrameResult(Frame(picture, index, index / FPS, 0), ()), picture)
    return folder


@pytest.fixture
def page(browser_of_report, report_folder):
    browser_of_report.open((report_folder / "report.html").as_uri())
    browser_of_report.value("localStorage.clear()")
    browser_of_report.open((report_folder / "report.html").as_uri())
    browser_of_report.wait_for("document.getElementById('video').readyState >= 2")
    browser_of_report.value(f"window.keys = {KEYS}; 0")
    browser_of_report.complaints.clear()
    yield browser_of_report
    assert browser_of_report.complaints == []
