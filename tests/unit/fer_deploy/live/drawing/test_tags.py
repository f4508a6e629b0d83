"""Where tags go: on no face, on no other tag, inside the picture."""

from itertools import combinations

import numpy as np
import pytest

from fer_deploy.live.drawing.overlay import draw_result, style_of
from fer_deploy.live.drawing.tags import SMALLEST_FONT, Tag, ascii_text, drawn_label, overlap, place_tags, shortened
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Box, Emotion

SIZES = [(160, 120), (320, 240), (480, 270), (1920, 1080), (3840, 2160)]
LABELS = ("dark", "bright")


def placed(result) -> list[Tag | None]:
    height, width = result.frame.frame_bgr.shape[:2]
    style = style_of(width, height)
    return place_tags(result.faces, (width, height), font=style.font, gap=style.gap)


def grid(size, columns, rows, share=0.3):
    """Boxes in the middle of each cell; `share` of a cell is the box."""
    cell = size[0] / columns, size[1] / rows
    return tuple(
        (
            round(cell[0] * (column + 0.5 - share / 2)),
            round(cell[1] * (row + 0.5 - share / 2)),
            round(cell[0] * (column + 0.5 + share / 2)),
            round(cell[1] * (row + 0.5 + share / 2)),
        )
        for row in range(rows)
        for column in range(columns)
    )


def require_apart(tags, boxes, size):
    places = [tag.place for tag in tags if tag is not None]
    for place in places:
        assert 0 <= place.x1 < place.x2 <= size[0]
        assert 0 <= place.y1 < place.y2 <= size[1]
        assert not any(overlap(place, Box(*box)) for box in boxes)
    assert not any(overlap(one, other) for one, other in combinations(places, 2))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (2, 1), (4, 4), (8, 6)])
def test_tags_cover_neither_faces_nor_one_another(make_result, size, columns, rows):
    boxes = grid(size, columns, rows)
    require_apart(placed(make_result(boxes=boxes, size=size)), boxes, size)


@pytest.mark.parametrize(
    ("size", "columns", "rows", "texts"),
    [
        ((160, 120), 1, 1, ["#1 bright 62%"]),
        ((160, 120), 3, 1, ["#1 bright", "bright", "#3 bright"]),
        ((320, 240), 3, 1, [f"#{number} bright 62%" for number in (1, 2, 3)]),
        ((1920, 1080), 8, 4, [f"#{number} bright 62%" for number in range(1, 33)]),
    ],
)
def test_texts_are_as_long_as_there_is_room(make_result, size, columns, rows, texts):
    tags = placed(make_result(boxes=grid(size, columns, rows), size=size))
    assert [tag and tag.text for tag in tags] == texts


@pytest.mark.parametrize(
    "box", [(0, 0, 60, 70), (240, 0, 300, 70), (0, 130, 60, 200), (240, 130, 300, 200), (0, 60, 60, 130)]
)
def test_faces_in_the_corners_have_a_whole_tag_beside_them(make_result, box):
    tags = placed(make_result(boxes=(box,), size=(300, 200)))
    require_apart(tags, [box], (300, 200))
    assert tags[0].text == "#1 bright 62%"


@pytest.mark.parametrize("box", [(0, 0, 160, 120), (10, 4, 150, 116)])
def test_a_face_that_fills_the_picture_has_its_tag_at_its_edge(make_result, box):
    (tag,) = placed(make_result(boxes=(box,), size=(160, 120)))
    assert (tag.text, tag.place.y1) == ("#1 bright 62%", box[1])
    assert tag.place.y2 - tag.place.y1 <= (box[3] - box[1]) / 4


def test_where_no_tag_has_room_there_is_none(make_result):
    boxes = tuple((x, y, x + 10, y + 10) for x in range(0, 100, 10) for y in range(0, 80, 10))
    result = make_result(boxes=boxes, size=(100, 80))
    assert placed(result) == [None] * 80
    assert draw_result(result, LABELS).shape == (80, 100, 3)


def test_a_tag_keeps_its_distance_from_the_face_below(make_result):
    """It would be read as that face's own."""
    boxes = ((100, 0, 160, 60), (100, 62, 160, 122))
    first = placed(make_result(boxes=boxes, size=(300, 200)))[0]
    assert (first.place.x1, first.place.y1) == (160, 0)


def test_letters_are_smaller_only_in_crowds(make_result):
    font = style_of(1920, 1080).font
    few = placed(make_result(boxes=grid((1920, 1080), 2, 1), size=(1920, 1080)))
    many = placed(make_result(boxes=grid((1920, 1080), 12, 12), size=(1920, 1080)))
    assert {tag.font for tag in few} == {font}
    assert {tag.font for tag in many if tag is not None} == {font / 2}
    assert font / 2 >= SMALLEST_FONT


@pytest.mark.parametrize("size", SIZES[:3])
def test_long_labels_are_shortened(make_result, size):
    label = "contempt-or-disdain-towards-others"
    boxes = grid(size, 1, 1)
    result = make_result(
        boxes=boxes, size=size, smoothed=Emotion(label, 0.87, Probabilities.from_dict({label: 0.87, "other": 0.13}))
    )
    tags = placed(result)
    require_apart(tags, boxes, size)
    assert tags[0].text in ("#1 contempt-or-.. 87%", "#1 contempt-or-..")


@pytest.mark.parametrize(("text", "drawn"), [("neutral", "neutral"), ("überrascht", "uberrascht"), ("怒り", "??")])
def test_letters_that_opencv_has(text, drawn):
    assert ascii_text(text) == drawn


def test_labels_of_other_scripts_can_be_told_apart(make_result):
    labels = ("怒り", "喜び", "huh?", "غضب")
    assert [drawn_label(label, labels) for label in labels] == ["class_0", "class_1", "huh?", "class_3"]
    probs = Probabilities.from_dict(dict.fromkeys(labels, 0.25))
    boxes = grid((1920, 1080), 1, 1)
    tags = placed(make_result(boxes=boxes, size=(1920, 1080), smoothed=Emotion("喜び", 0.87, probs)))
    assert tags[0].text == "#1 class_1 87%"


@pytest.mark.parametrize(("text", "short"), [("a" * 14, "a" * 14), ("b" * 15, "b" * 12 + "..")])
def test_shortened(text, short):
    assert shortened(text) == short


def test_what_is_drawn_is_inside_the_place(make_result, monkeypatch):
    picture = np.zeros((60, 200, 3), dtype=np.uint8)
    (tag,) = placed(make_result(boxes=((10, 30, 40, 50),), size=(200, 60)))
    tag.draw(picture, (200, 200, 200), (0, 0, 0))
    rows, columns = np.nonzero(picture.any(axis=2))
    place = tag.place
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (place.x1, place.y1, place.x2, place.y2)
    inside = picture[place.y1 : place.y2, place.x1 : place.x2]
    letters = (inside < 100).all(axis=2)
    assert letters.any()
    assert not letters[:, : tag.gap - 1].any()
    assert not letters[0].any()


def test_charts_cover_no_face_no_tag_and_no_other_chart(make_result, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "fer_deploy.live.drawing.chart.Chart.draw",
        lambda chart, picture, at, *_: drawn.append(Box(*at, at[0] + chart.width, at[1] + chart.height)),
    )
    for size in SIZES:
        for columns, rows in ((1, 1), (2, 1), (3, 1), (4, 2)):
            boxes = grid(size, columns, rows, 0.4)
            result = make_result(boxes=boxes, size=size)
            drawn.clear()
            draw_result(result, LABELS)
            taken = [Box(*box) for box in boxes] + [tag.place for tag in placed(result) if tag is not None]
            assert not any(overlap(chart, other) for chart in drawn for other in taken)
            assert not any(overlap(one, other) for one, other in combinations(drawn, 2))
            assert all(c.x1 >= 0 and c.y1 >= 0 and c.x2 <= size[0] and c.y2 <= size[1] for c in drawn)
            assert drawn or size == (160, 120) or columns == 4


def test_a_chart_is_at_most_two_and_a_half_faces_high(make_result):
    small, large = ((100, 100, 100 + side, 100 + side) for side in (8, 60))
    probs = {f"label {number}": 0.125 for number in range(7)} | {"bright": 0.125}
    smoothed = Emotion("bright", 0.125, Probabilities.from_dict(probs))
    for box, has_chart in ((small, False), (large, True)):
        result = make_result(boxes=(box,), size=(480, 270), smoothed=smoothed)
        below = draw_result(result, tuple(probs))[box[3] + 2 :, box[2] + 2 :]
        assert (below != result.frame.frame_bgr[box[3] + 2 :, box[2] + 2 :]).any() == has_chart
