from dataclasses import replace

import pytest

from fer_deploy.vision.tracking import presence as module
from fer_deploy.vision.tracking.presence import Presence

BOXES = ((10, 30, 40, 60), (50, 30, 80, 60))


def numbered(result, *people):
    return replace(result, faces=tuple(replace(face, person=n) for face, n in zip(result.faces, people, strict=True)))


def test_who_was_seen_how_long_and_showing_what(make_result):
    presence = Presence()
    for index in range(11):
        boxes = BOXES if index in (4, 5) else BOXES[:1]
        result = make_result(index, boxes=boxes, is_sure=index != 3)
        presence.add(numbered(result, 1 if index == 10 else None, *[None] * (len(boxes) - 1)))
    (person,) = presence.people()
    assert (person.source, person.number, person.first_s, person.num_frames) == (0, 1, 0.0, 11)
    assert person.visible_s == pytest.approx(1.1)
    assert person.last_s == pytest.approx(1.1)  # the end of the last frame
    assert person.shares == pytest.approx({"bright": 10 / 11, "unsure": 1 / 11})
    assert presence.passers_by() == 1
    assert person.to_dict() == {
        "source": 0,
        "person": 1,
        "first_s": 0.0,
        "last_s": 1.1,
        "visible_s": 1.1,
        "num_frames": 11,
        "shares": {"bright": 0.9091, "unsure": 0.0909},
    }


def test_nobody_is_visible_for_longer_than_from_first_to_last(make_result):
    presence = Presence()
    for index, time_s in enumerate((0.0, 0.1, 0.15, 0.6, 0.7)):
        boxes = BOXES if index in (1, 2, 4) else BOXES[:1]
        presence.add(numbered(make_result(time_s=time_s, boxes=boxes), *(1, 2)[: len(boxes)]))
    one, two = presence.people()
    assert (one.visible_s, one.last_s - one.first_s) == pytest.approx((0.8, 0.8))
    assert (two.visible_s, two.last_s - two.first_s) == pytest.approx((0.6, 0.7))


def test_sources_count_apart_and_come_in_order(make_result):
    presence = Presence()
    for index in range(3):
        presence.add(numbered(make_result(index, source=1), 1))
        presence.add(numbered(make_result(index, boxes=BOXES), 2, 1))
    assert [(person.source, person.number) for person in presence.people()] == [(0, 1), (0, 2), (1, 1)]


def test_a_camera_that_was_away_does_not_count(make_result):
    presence = Presence()
    for time_s in (0.0, 0.1, 600.0, 599.0):
        presence.add(numbered(make_result(time_s=time_s), 1))
    assert presence.people()[0].visible_s == pytest.approx(0.1 + 1.0 + 0.0 + 0.0)


def test_photos_are_counted_by_what_they_show(make_result):
    presence = Presence()
    presence.add(make_result(name="a.jpg", boxes=BOXES))
    presence.add(make_result(1, name="b.jpg", is_sure=False))
    assert (presence.num_photos, presence.shown_in_photos) == (2, {"bright": 2, "unsure": 1})
    assert (presence.people(), presence.passers_by()) == ([], 0)


def test_memory_is_bounded(make_result, monkeypatch):
    monkeypatch.setattr(module, "MOST_PEOPLE", 3)
    presence = Presence()
    for track in range(8):  # each for two frames, the fifth one longer, and a passer-by
        for frame in range(5 if track == 4 else 2):
            result = make_result(time_s=100.0 * track + frame / 10)
            face = result.faces[0]
            tracked = replace(face.face, track_id=track)
            number = None if track == 1 else track + 1
            presence.add(replace(result, faces=(replace(face, face=tracked, person=number),)))
    assert [person.number for person in presence.people()] == [5, 7, 8]
    assert (presence.num_forgotten, presence.passers_by()) == (4, 1)
