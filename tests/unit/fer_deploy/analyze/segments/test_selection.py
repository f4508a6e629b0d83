"""Which frames are analyzed follows from two times."""

import pytest

from fer_deploy.analyze.segments.selection import ALL_FRAMES, Selection


def kept(selection, times):
    before = [None, *times[:-1]]
    return [
        number
        for number, (time_s, before_s) in enumerate(zip(times, before, strict=True))
        if not selection.is_before(time_s) and not selection.is_after(time_s) and selection.keeps(time_s, before_s)
    ]


def even(fps, num):
    return [number / fps for number in range(num)]


@pytest.mark.parametrize(
    ("fps", "sample_fps", "expected"),
    [
        (30, 5, [0, 6, 12, 18, 24]),
        (30, 7, [0, 5, 9, 13, 18, 22, 26]),
        (30, 30, list(range(30))),
        (30, 1000, list(range(30))),
        (25, 2, [0, 13]),
    ],
)
def test_evenly_spread(fps, sample_fps, expected):
    assert kept(Selection(sample_fps=sample_fps), even(fps, fps)) == expected


def test_the_mean_rate_is_kept_over_an_hour():
    num = round(29.97 * 3600)
    assert abs(len(kept(Selection(sample_fps=5), even(29.97, num))) - 5 * 3600) <= 1


def test_an_uneven_rate_has_a_frame_of_each_slot_that_has_one():
    times = [0.0, 0.19, 0.21, 0.22, 1.5, 1.55, 1.61]
    assert kept(Selection(sample_fps=5), times) == [0, 2, 4, 6]


def test_slots_begin_with_the_range():
    times = even(30, 60)
    assert kept(Selection(start_s=0.5, sample_fps=5), times) == [15, 21, 27, 33, 39, 45, 51, 57]
    assert kept(Selection(start_s=0.51, end_s=1.0, sample_fps=5), times) == [16, 22, 28]


def test_a_range():
    times = even(10, 30)
    assert kept(Selection(start_s=1.0, end_s=1.3), times) == [10, 11, 12]
    assert kept(ALL_FRAMES, times) == list(range(30))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (ALL_FRAMES, 300),
        (Selection(start_s=2.0), 240),
        (Selection(end_s=3.0), 90),
        (Selection(start_s=2.0, end_s=99.0, sample_fps=5), 40),
        (Selection(start_s=20.0), 0),
        (Selection(sample_fps=100), 300),
    ],
)
def test_how_many_are_expected(selection, expected):
    assert selection.num_expected(300, 30.0) == expected
    assert selection.num_expected(None, 30.0) is None
