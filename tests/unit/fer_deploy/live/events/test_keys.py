"""Keys of the window note events, and the picture shows them."""

import numpy as np
import pytest

from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.events.keys import EventKeys


@pytest.fixture
def made(tmp_path):
    """Keys, their log, and their clock."""
    log, clock = EventLog(tmp_path / "events.csv", names=("Film", "Café")), [0.0]
    log.note_frame(0, 61.5, 0, is_live=False)
    yield EventKeys(log, lambda: clock[0]), log, clock
    log.close(is_incomplete=False)


def test_a_number_starts_and_ends_its_event(made, tmp_path):
    keys, log, clock = made
    keys.press(ord("1"), {0: 61.5})
    assert keys.lines() == ["Film  0:00", "Film begins 1:01.50"]
    keys.press(ord("2"), {0: 61.5})
    assert keys.lines() == ["Film  0:00", "Cafe  0:00", "Cafe begins 1:01.50"]
    log.note_frame(0, 71.5, 0, is_live=False)
    keys.press(ord("1"), {0: 71.5})
    assert keys.lines()[-1] == "Film ends 1:11.50"
    clock[0] = 2.5
    assert len(keys.lines()) == 1
    assert (tmp_path / "events.csv").read_text().endswith("61.5,71.5,Film,event,0,,\n")


def test_space_marks_and_other_keys_do_nothing(made):
    keys, _, _ = made
    for key in (255, ord("x"), ord("0")):
        keys.press(key, None)
    assert keys.lines() == []
    keys.press(ord(" "), None)
    assert keys.lines() == ["mark at 1:01.50"]
    keys.press(ord("9"), None)
    assert keys.lines()[0] == "event 9  0:00"


def test_a_refusal_is_shown(made):
    keys, _, _ = made
    keys.press(ord("1"), None)
    keys.press(ord("1"), None)
    assert keys.lines()[1].startswith("Film would end with the frame")


def test_the_picture(made):
    keys, _, _ = made
    picture = np.full((240, 320, 3), 90, np.uint8)
    assert keys.drawn(picture) is picture
    keys.press(ord("1"), None)
    shown = keys.drawn(picture)
    assert (picture == 90).all(), "other outputs use it, too"
    assert (shown[:150] == 90).all()
    assert (shown[200:] > 200).any()
