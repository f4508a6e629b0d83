"""People and timelines from the rows of a table."""

import numpy as np
import pytest

from fer_deploy.analyze.checkpoint import Checkpoint
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.analyze.report.people_seen import (
    COARSE_BINS,
    MAX_BINS,
    UNSURE_BIT,
    people_from_rows,
    timelines_from_rows,
)
from fer_deploy.analyze.report.summary import _not_calm, _person
from fer_deploy.vision.quality import QualityFlag

LABELS = ("dark", "bright")


def rows(*faces, frame_s=0.1):
    """Rows from (time_s, track, person, shown); "bright" has a probability of 0.8 where it is shown, else 0.2."""
    start_s, track, person, shown = (np.array(column) for column in zip(*faces, strict=True))
    place = np.round(start_s / frame_s).astype(int)
    probs = [[0.2, 0.8] if one == "bright" else [0.8, 0.2] for one in shown]
    flags = ["SMALL_FACE CUT_OFF" if one == "unreadable" else "" for one in shown]
    shown, flags = shown.astype(object), np.array(flags, dtype=object)
    return Rows(place, start_s, start_s + frame_s, track, person, shown, flags, np.array(probs))


BATCHES = [
    rows((0.0, 1, 0, "dark"), (0.0, 2, 0, "bright"), (0.1, 1, 0, "unsure")),
    rows((0.2, 1, 2, "bright"), (0.9, 4, 1, "dark")),
]


def test_people_over_batches():
    first, second, last = people_from_rows(BATCHES)
    assert (first.track, first.number, first.first_s, first.last_s, first.num_frames) == (
        *(1, 2, 0.0, pytest.approx(0.3), 3),
    )
    assert first.shown_s == pytest.approx({"dark": 0.1, "unsure": 0.1, "bright": 0.1})
    assert (second.track, second.number, second.shown_s) == (2, None, pytest.approx({"bright": 0.1}))
    assert (last.track, last.number, last.first_s) == (4, 1, 0.9)


def test_unreadable_and_its_reasons():
    (person,) = people_from_rows([rows((0.0, 1, 0, "dark"), (0.1, 1, 0, "unreadable"))])
    assert person.shown_s == pytest.approx({"dark": 0.1, "unreadable": 0.1})
    assert person.flagged_s == pytest.approx({"SMALL_FACE": 0.1, "CUT_OFF": 0.1})
    assert _person(1, person).flags == {"CUT_OFF": 0.5, "SMALL_FACE": 0.5}


def test_a_frame_counts_until_the_next_one():
    """One frame of a second, and four of a quarter."""
    slow, fast = (
        rows((0.0, 1, 1, "dark"), frame_s=1.0),
        rows(*((1 + n / 4, 1, 1, "bright") for n in range(4)), frame_s=0.25),
    )
    (person,) = people_from_rows([slow, fast])
    made = _person(1, person)
    assert (made.shares, made.visible_s, made.num_faces) == ({"bright": 0.5, "dark": 0.5}, 2.0, 5)
    (timeline,) = timelines_from_rows([slow, fast], [1], end_s=2.0, num_frames=4, num_labels=2).values()
    assert timeline.visible_s == pytest.approx([0.5] * 4), "the long frame is in two bins"
    assert timeline.shares[:, 0] == pytest.approx([0.8, 0.8, 0.2, 0.2])


def test_a_calm_stretch_that_was_not_calm():
    """The state of a checkpoint is JSON, so its tracks are text."""
    fingerprint = Fingerprint(video="", engine="", detector="", version="", settings={})
    end = Checkpoint(fingerprint=fingerprint, people={"smoothing": {"lively": {"1": 0.42, "8": 0.9}}})
    seen = people_from_rows(BATCHES)
    (note,) = _not_calm(end, [(one.number, one) for one in seen if one.number is not None])
    assert note.startswith(
        "has a wrong baseline: person 2 (in tables and video) looks happy or surprised in 42% of what --baseline calls"
    )
    assert _not_calm(Checkpoint(fingerprint=fingerprint), [(2, seen[0])]) == []


def test_nobody():
    assert people_from_rows([]) == []


class TestTimelines:
    def test_mean_of_a_bin_and_gaps(self):
        timelines = timelines_from_rows(BATCHES, [1, 4], end_s=1.0, num_frames=5, num_labels=2)
        assert sorted(timelines) == [1, 4]
        edges_s, shares, flags, visible_s = timelines[1]
        assert edges_s == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        assert shares[0] == pytest.approx([0.8, 0.2, 0])
        assert shares[1] == pytest.approx([0.2, 0.8, 0])
        assert np.isnan(shares[2:]).all()
        assert flags.tolist() == [1 << UNSURE_BIT, 0, 0, 0, 0]  # one of two frames was shown as unsure
        assert visible_s == pytest.approx([0.2, 0.1, 0, 0, 0])
        assert np.isnan(timelines[4].shares[:4]).all()

    def test_unreadable_frames_have_a_share_and_no_probabilities(self):
        batch = rows((0.0, 1, 0, "bright"), (0.01, 1, 0, "unreadable"), (0.02, 1, 0, "unreadable"), frame_s=0.01)
        (timeline,) = timelines_from_rows([batch], [1], end_s=0.03, num_frames=1, num_labels=2).values()
        assert timeline.shares[0] == pytest.approx([0.2 / 3, 0.8 / 3, 2 / 3])
        flags = [flag for bit, flag in enumerate(QualityFlag) if timeline.flags[0] & (1 << bit)]
        assert flags == ["SMALL_FACE", "CUT_OFF"]

    def test_hours_have_no_more_bins(self):
        (timeline,) = timelines_from_rows(BATCHES, [1], end_s=10_800, num_frames=324_000, num_labels=2).values()
        assert timeline.shares.shape == (MAX_BINS, 3)

    def test_the_picture_has_fewer_bins(self):
        """They are those that it would have by itself."""
        times = np.arange(4000) / 25
        shown = np.where(np.arange(len(times)) % 500 < 90, "unreadable", "bright")
        kept = [(time, 1, 1, str(one)) for time, one in zip(times, shown, strict=True) if not 60 <= time < 90]
        batch, how = rows(*kept, frame_s=1 / 25), {"end_s": 160.0, "num_frames": 2000, "num_labels": 2}
        (fine,) = timelines_from_rows([batch], [1], **how).values()
        coarse = fine.coarse()
        assert (fine.shares.shape, coarse.shares.shape) == ((2000, 3), (COARSE_BINS, 3))
        edges_s = np.linspace(0, 160, COARSE_BINS + 1)
        assert coarse.edges_s == pytest.approx(edges_s)
        bins = np.searchsorted(edges_s, batch.start_s + 1e-9, side="right") - 1
        for number in (0, 100, 399):
            is_unreadable = batch.shown[bins == number] == "unreadable"
            assert coarse.shares[number, 2] == pytest.approx(is_unreadable.mean())
            assert (coarse.flags[number] > 0) == is_unreadable.any()
            assert coarse.visible_s[number] == pytest.approx(len(is_unreadable) / 25)
        assert np.isnan(coarse.shares[150:225]).all()
        assert coarse.coarse() is coarse

    def test_one_frame(self):
        (timeline,) = timelines_from_rows(
            [rows((0.0, 1, 0, "dark"), frame_s=0.04)], [1], end_s=0.04, num_frames=1, num_labels=2
        ).values()
        assert timeline.shares == pytest.approx(np.array([[0.8, 0.2, 0]]))
