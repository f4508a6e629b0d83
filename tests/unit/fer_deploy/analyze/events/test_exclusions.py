"""Excluded ranges: read from the user's CSV, and left out of segments and intervals."""

from pathlib import Path

import numpy as np
import pytest
from unit.fer_deploy.analyze.events.made_results import make_results, person

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.exclusions import (
    Exclusion,
    notes_on_numbers,
    outside,
    ranges_of_people,
    read_exclusions,
)
from fer_deploy.analyze.events.exports import Exports
from fer_deploy.analyze.events.intervals import intervals
from fer_deploy.analyze.events.segments import segments
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.errors import ConfigError

HAPPY = [0.9, 0.8, 0.3, 0.2, 0.4, 0.7, 0.95, 0.6, 0.5, 0.1]
SHOWN = ["happy", "happy", "sad", "sad", "unsure", "happy", "unreadable", "happy", "unsure", "sad"]


@pytest.fixture
def folder(tmp_path):
    """Ten frames of a tenth of a second; person 2 is named Ann, and visible in the last two."""
    faces = [(frame, 7, SHOWN[frame], HAPPY[frame]) for frame in range(10)]
    faces += [(8, 3, "sad", 0.1), (9, 3, "sad", 0.1)]
    return make_results(tmp_path / "clip", sorted(faces), people=[person(1, 7), person(2, 3, name="Ann")])


def read(tmp_path, text):
    path = tmp_path / "exclude.csv"
    path.write_text(text)
    return read_exclusions(path)


def test_forms(tmp_path):
    found = read(tmp_path, "start,end,person,video\n1,2.5,Ann,\n0:03,0:04,,clip.mp4\n").exclusions
    assert found == (Exclusion(1, 2.5, "Ann", "", 2), Exclusion(3, 4, "", "clip.mp4", 3))
    assert read(tmp_path, "start;duration\n1,5;1\n").exclusions == (Exclusion(1.5, 2.5, line=2),)
    assert read(tmp_path, "start,end\n").exclusions == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("end,person\n1,Ann\n", r"expected also start. Fix: a first line such as start,end or start,end,person"),
        ("start,end\n2,1\n", "line 2: the range ends at 1 s, but starts at 2 s. Fix: an end after the start"),
        ("start,end\n1,soon\n", "line 2: end is 'soon', which is no time"),
    ],
)
def test_faults(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_exclusions_of_a_video(tmp_path):
    found = read(tmp_path, "start,end,video\n1,2,clip.mp4\n2,3,clip\n3,4,\n4,5,other.mp4\n")
    assert [one.start_s for one in found.of_video(Path("a/clip.mp4"))] == [1, 2, 3]
    assert [one.start_s for one in found.of_video(Path("b.mp4"))] == [3]


def row(folder, *excluded, start_s=0.0, end_s=1.0, number=1):
    rows = segments(folder, [Event("film", start_s, end_s)], excluded=excluded).to_pylist()
    return next(row for row in rows if row["person"] == number)


def test_the_rest_of_an_event_is_measured(folder):
    """As if the event consisted of the frames 0, 1, 5 to 7 and 9, and half of frame 8."""
    found = row(folder, Exclusion(0.2, 0.4), Exclusion(0.3, 0.5), Exclusion(0.85, 0.9))
    assert (found["excluded_s"], found["visible_s"], found["readable_s"]) == (0.35, 0.65, 0.55)
    assert found["coverage"] == pytest.approx(0.55 / 0.65, abs=1e-4)
    shown = {"happy": 0.4, "sad": 0.1, "unsure": 0.05, "unreadable": 0.1}
    assert {label: found[f"share_{label}"] for label in shown} == pytest.approx(
        {label: seconds / 0.65 for label, seconds in shown.items()}, abs=1e-4
    )
    weights, happy = np.array([2, 2, 2, 2, 1, 2]), np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.1])
    assert found["mean_happy"] == pytest.approx(np.average(happy, weights=weights), abs=1e-4)
    assert found["num_changes"] == 1  # happy ... happy, sad
    assert (found["peak_happy"], found["time_to_peak_s_happy"]) == (0.9, 0)


def test_two_events_are_one_with_a_hole(folder):
    """The measures that are means over time are those of two events beside the range, taken together."""
    whole = row(folder, Exclusion(0.25, 0.55))
    parts = [row(folder, start_s=0.0, end_s=0.25), row(folder, start_s=0.55, end_s=1.0)]
    seconds = [part["readable_s"] for part in parts]
    assert whole["readable_s"] == pytest.approx(sum(seconds), abs=1e-4)
    for name in ("mean_happy", "mean_sad"):
        assert whole[name] == pytest.approx(np.average([part[name] for part in parts], weights=seconds), abs=2e-4)
    assert whole["peak_sad"] == max(part["peak_sad"] for part in parts)


def test_of_one_person(folder):
    plain, ann = row(folder), row(folder, number=2)
    for who in ("Ann", "2"):
        assert row(folder, Exclusion(0.8, 0.9, who)) == plain
        assert row(folder, Exclusion(0.8, 0.9, who), number=2)["visible_s"] == ann["visible_s"] - 0.1


def test_all_of_an_event(folder):
    found = row(folder, Exclusion(0.0, 0.6), start_s=0.2, end_s=0.5)
    assert (found["excluded_s"], found["visible_s"], found["coverage"]) == (0.3, 0, None)
    assert (found["mean_happy"], found["num_changes"]) == (None, None)


def test_outside_of_the_event_nothing_changes(folder):
    assert row(folder, Exclusion(0.5, 0.9), end_s=0.5) == row(folder, end_s=0.5)


@pytest.mark.parametrize(
    ("exclusion", "message"),
    [
        (
            Exclusion(0.1, 0.2, "Eve", line=4),
            "range in line 4 is of the person 'Eve', whom clip.mp4 does not have. Fix",
        ),
        (
            Exclusion(70, 80, line=3),
            "the excluded range in line 3 starts at 70 s, but clip.mp4 ends at 1 s. Fix: times",
        ),
    ],
)
def test_what_does_not_fit_the_video(folder, exclusion, message):
    for compute in (lambda: row(folder, exclusion), lambda: intervals(folder, excluded=[exclusion])):
        with pytest.raises(ConfigError, match=message):
            compute()


def test_a_number_that_is_another_one_in_the_tables(folder):
    """Person 1 was dropped, and a passer-by has become a person."""
    renamed = load(
        folder,
        person(1, 3, tracks=(3,), numbers=(2,)),
        person(2, 5, tracks=(5,), name="3"),
        person(3, 9, tracks=(9,)),
        person(4, 4, tracks=(4,), numbers=(4,)),
    )
    found = [Exclusion(0, 0.1, who, line=2) for who in ("", "1", "2", "3", "4", "Eve")]
    first, second = notes_on_numbers(found, renamed)
    assert first.startswith("the excluded range in line 2 is of person 1 of the report, who is 2 in tables and video.")
    assert "of person 2 of the report, who is without a number in tables" in second
    assert notes_on_numbers(found, load(folder, person(1, 7), person(2, 3))) == []


def test_a_name_goes_before_a_number(folder):
    summary = load(folder, person(1, 7, name="2"), person(2, 3))
    assert ranges_of_people([Exclusion(0, 0.1, "2")], summary) == {1: ((0, 0.1),), 2: ()}


def load(folder, *people):
    summary = Summary.load(folder / "summary.json")
    return summary.model_copy(update={"people": people})


def test_intervals_are_cut(folder):
    found = intervals(folder, excluded=[Exclusion(0.15, 0.3, "1"), Exclusion(0.95, 2.0)])
    expected = [
        (1, "happy", 0.0, 0.15),
        (1, "sad", 0.3, 0.4),
        (1, "unsure", 0.4, 0.5),
        (1, "happy", 0.5, 0.6),
        (1, "unreadable", 0.6, 0.7),
        (1, "happy", 0.7, 0.8),
        (1, "unsure", 0.8, 0.9),
        (1, "sad", 0.9, 0.95),
        (2, "sad", 0.8, 0.95),
    ]
    assert [(one.person, one.label) for one in found] == [(number, label) for number, label, _, _ in expected]
    times = [(one.start_s, one.end_s) for one in found]
    assert np.array(times) == pytest.approx(np.array([spot[2:] for spot in expected]))


def test_no_interval_without_duration_is_left(folder):
    """A range that ends a part of a millisecond before the label changes."""
    (first, *_) = intervals(folder, excluded=[Exclusion(0.0, 0.1997)])
    assert (first.label, first.start_s) == ("sad", 0.2)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ((), ((1, 5),)),
        (((0, 1), (5, 6)), ((1, 5),)),
        (((0, 2), (3, 4)), ((2, 3), (4, 5))),
        (((1, 5),), ()),
        (((2, 9),), ((1, 2),)),
    ],
)
def test_what_is_outside_of_ranges(ranges, expected):
    assert outside(ranges, 1, 5) == expected


def test_they_need_something_to_be_left_out_of(tmp_path):
    known = read(tmp_path, "start,end\n1,2\n")
    with pytest.raises(ConfigError, match=r"but neither is written. Fix: add --events events.csv, or --intervals"):
        Exports(exclusions=known, protocol=True).check([Path("a.mp4")], [tmp_path])
    Exports(exclusions=known, intervals=True).check([Path("a.mp4")], [tmp_path])
