"""People and timelines from the rows of a table."""

import numpy as np
import pytest

from fer_deploy.analyze.report.people_seen import (
    COARSE_BINS,
    MAX_BINS,
    UNSURE_BIT,
    PersonSeen,
    Rows,
    people_from_rows,
    timelines_from_rows,
)
from fer_deploy.analyze.report.summary import _person
from fer_deploy.vision.quality import QualityFlag

LABELS = ("dark", "bright")


def rows(*faces):
    """Rows from (time_s, track, person, shown); "bright" has a probability of 0.8 where it is shown, else 0.2."""
    time_s, track, person, shown = zip(*faces, strict=True)
    probs = [[0.2, 0.8] if one == "bright" else [0.8, 0.2] for one in shown]
    flags = ["SMALL_FACE CUT_OFF" if one == "unreadable" else "" for one in shown]
    known = np.array(time_s), np.array(track), np.array(person)
    return Rows(*known, np.array(shown, dtype=object), np.array(flags, dtype=object), np.array(probs))


BATCHES = [
    rows((0.0, 1, 0, "dark"), (0.0, 2, 0, "bright"), (0.1, 1, 0, "unsure")),
    rows((0.2, 1, 2, "bright"), (0.9, 4, 1, "dark")),
]


def test_people_over_batches():
    first, second, last = people_from_rows(BATCHES)
    assert (first.track, first.number, first.first_s, first.last_s, first.num_frames) == (1, 2, 0.0, 0.2, 3)
    assert first.num_shown == {"dark": 1, "unsure": 1, "bright": 1}
    assert (second.track, second.number, second.num_shown) == (2, None, {"bright": 1})
    assert (last.track, last.number, last.first_s) == (4, 1, 0.9)


def test_unreadable_and_its_reasons():
    (person,) = people_from_rows([rows((0.0, 1, 0, "dark"), (0.1, 1, 0, "unreadable"))])
    assert person.num_shown == {"dark": 1, "unreadable": 1}
    assert person.num_flagged == {"SMALL_FACE": 1, "CUT_OFF": 1}
    assert _person(1, person, 0.1).flags == {"CUT_OFF": 0.5, "SMALL_FACE": 0.5}


def test_nobody():
    assert people_from_rows([]) == []


class TestTimelines:
    def test_mean_of_a_bin_and_gaps(self):
        timelines = timelines_from_rows(BATCHES, [1, 4], end_s=1.0, num_frames=10, num_labels=2)
        assert sorted(timelines) == [1, 4]
        edges_s, shares, flags, num_frames = timelines[1]
        assert edges_s == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        assert shares[0] == pytest.approx([0.8, 0.2, 0])
        assert shares[1] == pytest.approx([0.2, 0.8, 0])
        assert np.isnan(shares[2:]).all()
        assert flags.tolist() == [1 << UNSURE_BIT, 0, 0, 0, 0]  # one of two frames was shown as unsure
        assert num_frames.tolist() == [2, 1, 0, 0, 0]
        assert np.isnan(timelines[4].shares[:4]).all()

    def test_unreadable_frames_have_a_share_and_no_probabilities(self):
        batch = rows((0.0, 1, 0, "bright"), (0.01, 1, 0, "unreadable"), (0.02, 1, 0, "unreadable"))
        (timeline,) = timelines_from_rows([batch], [1], end_s=0.03, num_frames=3, num_labels=2).values()
        assert timeline.shares[0] == pytest.approx([0.2 / 3, 0.8 / 3, 2 / 3])
        flags = [flag for bit, flag in enumerate(QualityFlag) if timeline.flags[0] & (1 << bit)]
        assert flags == ["SMALL_FACE", "CUT_OFF"]

    def test_hours_have_no_more_bins(self):
        (timeline,) = timelines_from_rows(BATCHES, [1], end_s=10_800, num_frames=324_000, num_labels=2).values()
        assert timeline.shares.shape == (MAX_BINS, 3)

    def test_the_picture_has_fewer_bins(self):
        """They are those that it would have by itself."""
        times = np.arange(1500 * 3) / 30
        shown = np.where(np.arange(len(times)) % 500 < 90, "unreadable", "bright")
        batch = rows(*((time, 1, 1, str(one)) for time, one in zip(times, shown, strict=True) if not 60 <= time < 90))
        how = {"end_s": 150.0, "num_frames": len(times), "num_labels": 2}
        (fine,) = timelines_from_rows([batch], [1], **how).values()
        coarse = fine.coarse()
        assert (fine.shares.shape, coarse.shares.shape) == ((2000, 3), (COARSE_BINS, 3))
        edges_s = np.linspace(0, 150, COARSE_BINS + 1)
        assert coarse.edges_s == pytest.approx(edges_s)
        bins = np.searchsorted(edges_s, batch.time_s + 1e-9, side="right") - 1
        for number in (0, 100, 399):
            is_unreadable = batch.shown[bins == number] == "unreadable"
            assert coarse.shares[number, 2] == pytest.approx(is_unreadable.mean())
            assert (coarse.flags[number] > 0) == is_unreadable.any()
            assert coarse.num_frames[number] == len(is_unreadable)
        assert np.isnan(coarse.shares[161:239]).all()
        assert coarse.coarse() is coarse

    def test_one_frame(self):
        (timeline,) = timelines_from_rows(
            [rows((0.0, 1, 0, "dark"))], [1], end_s=0.04, num_frames=1, num_labels=2
        ).values()
        assert timeline.shares == pytest.approx(np.array([[0.8, 0.2, 0]]))


@pytest.mark.parametrize(
    ("last_s", "num_frames", "visible_s"),
    [
        (3.30, 34, 3.4),  # in every frame
        (3.30, 20, 2.0),
        (2.00, 34, 2.1),  # frames that were shorter than the mean
    ],
)
def test_nobody_is_visible_for_longer_than_from_first_to_last(last_s, num_frames, visible_s):
    seen = PersonSeen(7, 1, first_s=0.0, last_s=last_s, num_frames=num_frames, num_shown={"happy": num_frames})
    person = _person(1, seen, 0.1)
    assert (person.first_s, person.last_s, person.visible_s) == pytest.approx((0.0, last_s + 0.1, visible_s))
