"""Areas of a timeline, and times as text."""

import numpy as np
import pytest

from fer_deploy.analyze.report.people_seen import Timeline
from fer_deploy.analyze.report.stacks import (
    colors_of,
    count_text,
    stacks_from_timeline,
    tick_step_s,
    tick_text,
)

GAP = [np.nan, np.nan]


def timeline(shares):
    num = len(shares)
    return Timeline(np.arange(num + 1.0), np.array(shares), np.zeros(num, np.uint16), np.ones(num, np.int64))


def test_a_stack_for_each_stretch():
    first, second = stacks_from_timeline(timeline([GAP, [0.3, 0.7], [0.5, 0.5], GAP, [1.0, 0.0]]))
    assert first.times_s == pytest.approx([1, 1.5, 2.5, 3])
    assert first.levels == pytest.approx(np.array([[0, 0, 0, 0], [0.3, 0.3, 0.5, 0.5], [1, 1, 1, 1]]))
    assert second.times_s == pytest.approx([4, 4.5, 5])


def test_never_visible():
    assert list(stacks_from_timeline(timeline([GAP, GAP]))) == []


def test_ticks_of_short_videos_have_tenths():
    assert tick_text(1.25, 4) == "0:01.2"
    assert tick_text(61, 120) == "1:01"


@pytest.mark.parametrize(
    ("duration_s", "step_s"), [(4, 0.5), (12, 1), (60, 5), (3600, 300), (10_800, 900), (1e6, 86_400)]
)
def test_steps_are_those_of_a_clock(duration_s, step_s):
    assert tick_step_s(duration_s, 14) == step_s


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (count_text(1, "frame"), "1 frame"),
        (count_text(0, "frame"), "0 frames"),
        (count_text(1234, "person", "people"), "1,234 people"),
        (count_text(1, "person", "people"), "1 person"),
    ],
)
def test_counts(text, expected):
    assert text == expected


def test_colors_differ():
    assert len(set(colors_of([f"label {i}" for i in range(8)]).values())) == 9
