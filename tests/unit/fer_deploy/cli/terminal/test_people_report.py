from dataclasses import replace

import pytest

from fer_deploy.cli.terminal import people_report as module
from fer_deploy.cli.terminal.people_report import people_lines
from fer_deploy.vision.tracking.presence import Presence


def numbered(result, *people):
    return replace(result, faces=tuple(replace(face, person=n) for face, n in zip(result.faces, people, strict=True)))


@pytest.fixture
def two_people(make_result):
    """The first one is there for three seconds, the second one for one; a third face only flickers."""
    presence = Presence()
    for index in range(30):
        num = 2 if index < 10 else 1
        boxes = tuple((40 * n, 30, 40 * n + 30, 60) for n in range(3 if index == 4 else num))
        result = make_result(index, boxes=boxes, is_sure=index != 29)
        presence.add(numbered(result, *([1, 2, None] if index == 4 else [1, 2][:num])))
    return presence


def test_who_how_long_and_what(two_people):
    assert people_lines(two_people, ["clip.mp4"]) == [
        "2 people seen",
        "  person 1  0:03.00  bright 97 %, unsure 3 %",
        "  person 2  0:01.00  bright 100 %",
        "  and 1 face followed for less than 1 s",
    ]


def test_those_visible_longest(two_people, monkeypatch):
    monkeypatch.setattr(module, "MOST_LINES", 1)
    assert people_lines(two_people, ["clip.mp4"])[:3] == [
        "2 people seen",
        "  person 1  0:03.00  bright 97 %, unsure 3 %",
        "  and 1 more, visible for less long",
    ]


def test_several_sources_are_named(make_result):
    presence = Presence()
    for source in (0, 1):
        for index in range(2):
            presence.add(numbered(make_result(index, source=source), 1))
    assert people_lines(presence, ["door", "hall 2"]) == [
        "2 people seen",
        "  door: person 1    0:00.20  bright 100 %",
        "  hall 2: person 1  0:00.20  bright 100 %",
    ]


def test_photos(make_result):
    presence = Presence()
    for index in range(300):
        presence.add(make_result(index, name=f"{index}.jpg", is_sure=index > 0))
    assert people_lines(presence, ["photos"]) == ["300 faces in 300 pictures: bright 100 %, unsure <1 %"]


def test_nobody():
    assert people_lines(Presence(), ["camera 0"]) == ["0 people seen"]
