"""The picture and the page, for one and for many people."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from fer_deploy.analyze.accounting import Accounting
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.report.page import report_html
from fer_deploy.analyze.report.people_seen import Timeline
from fer_deploy.analyze.report.summary import PassersBy, Person, Summary
from fer_deploy.analyze.report.timeline import longest_visible, middle_left_out, timeline_png
from fer_deploy.vision.palette import UNREADABLE_COLOR, bgr_from_hex

FINGERPRINT = Fingerprint(video="", engine="", detector="", version="", settings={})


def make_summary(num_people, *, duration_s=60.0, video="clip.mp4"):
    people = tuple(
        Person(
            number=n,
            track=10 + n,
            first_s=0,
            last_s=50,
            visible_s=10 + n % 7,
            num_faces=300,
            shares={"dark": 0.7, "unreadable": 0.1, "unsure": 0.2},
            flags={"LOW_SHARPNESS": 0.25},
        )
        for n in range(1, num_people + 1)
    )
    return Summary(
        video=video,
        engine="fake",
        labels=("dark", "bright"),
        duration_s=duration_s,
        fps=30,
        picture_size=(64, 48),
        num_size_changes=0,
        trouble="",
        accounting=Accounting(),
        people=people,
        passers_by=PassersBy(),
        fingerprint=FINGERPRINT,
    )


def make_timelines(summary):
    shares = np.tile([0.5, 0.5, 0.0], (50, 1))
    shares[5:10] = 0.25, 0.25, 0.5
    shares[20:30] = np.nan
    edges = np.linspace(0, summary.duration_s, 51)
    num_frames = np.where(np.isnan(shares[:, 0]), 0, 3)
    flags = np.where(shares[:, 2] > 0, 2, 0).astype(np.uint16)
    return {person.track: Timeline(edges, shares, flags, num_frames) for person in summary.people}


def picture_of(summary):
    return cv2.imdecode(np.frombuffer(timeline_png(summary, make_timelines(summary)), np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(("num", "rows"), [(0, 1), (1, 1), (12, 12), (40, 12)])
def test_rows_of_the_picture(num, rows):
    assert picture_of(make_summary(num)).shape[:2] == (round((1.95 + 0.95 * rows) * 120), 1560)


@pytest.fixture
def drawn(monkeypatch):
    """Figures whose picture was made."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **how: figures.append(self) or save(self, *args, **how))
    return figures


@pytest.mark.parametrize("name", ["$\\foo$.mkv", "from $5 to $6.mkv", "a_{^.mp4"])
def test_a_name_is_not_mathematics(drawn, name):
    picture_of(make_summary(1, video=name))
    assert drawn[0].get_suptitle() == name
    assert not drawn[0]._suptitle.get_parse_math()


@pytest.mark.parametrize(
    "name", ["W" * 200, "会議の録画ファイル" * 9, "two\nlines" * 25], ids=["wide", "boxes", "lines"]
)
def test_a_long_name_lacks_its_middle(drawn, name):
    """Without a warning of letters that no font has: they are errors in tests."""
    assert (picture_of(make_summary(1, video=f"{name}-end.mp4"))[:40, -8:] == 255).all()
    title = drawn[0].get_suptitle()
    assert title[:3] == name[:3]
    assert title.endswith("-end.mp4")
    assert title.count("…") == 1


def test_title_and_legend_have_a_line_each(drawn):
    picture_of(make_summary(1, video="a" * 120 + ".mp4"))
    title, legend = drawn[0]._suptitle, drawn[0].axes[0].get_legend()
    assert legend.get_window_extent().y1 <= title.get_window_extent().y0
    assert legend.get_window_extent().y0 >= drawn[0].axes[0].get_window_extent().y1


@pytest.mark.parametrize(("num", "text"), [(5, "abc…yz"), (4, "ab…yz"), (3, "ab…z")])
def test_middle_left_out(num, text):
    assert middle_left_out("abcdefuvwxyz", num) == text


def test_longest_visible_in_order():
    people = make_summary(9).people
    assert [person.number for person in longest_visible(people, 3)] == [4, 5, 6]


def test_people_without_a_card_are_in_the_table():
    summary = make_summary(3)
    timelines = {11: make_timelines(summary)[11]}
    page = report_html(summary, timelines, [])
    assert page.count("<article>") == 1
    assert "<td>3<td>0:00.00<td>0:50.00" in page


def test_unreadable_has_its_share_color_and_reasons():
    page = report_html(make_summary(1), make_timelines(make_summary(1)), [])
    assert "unreadable <b>10 %</b>" in page
    assert "low sharpness 25 %" in page
    picture = picture_of(make_summary(1))
    assert (picture == bgr_from_hex(UNREADABLE_COLOR)).all(axis=2).sum() > 1000


def test_names_are_escaped():
    page = report_html(make_summary(1, video="<b>.mp4"), make_timelines(make_summary(1)), [])
    assert "<b>.mp4" not in page
    assert "&lt;b&gt;.mp4" in page


def test_passers_by_are_told_where_there_are_some():
    summary = make_summary(1)
    assert "A passer-by is" not in report_html(summary, make_timelines(summary), [])
    some = summary.model_copy(update={"passers_by": PassersBy(num_tracks=1, num_faces=1)})
    page = " ".join(report_html(some, make_timelines(some), []).split())
    assert "here there is 1, with 1 face: too short" in page
    assert "<b>1</b>person</div>" in page
    assert "<b>1</b>passer-by</div>" in page
