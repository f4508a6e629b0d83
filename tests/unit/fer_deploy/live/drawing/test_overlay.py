import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fer_deploy.live.drawing import overlay, tags
from fer_deploy.live.drawing.overlay import Drawing, draw_result
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Emotion

LABELS = ("dark", "bright")
GRAY = overlay._UNSURE


def changed(result) -> np.ndarray:
    return (draw_result(result, LABELS) != result.frame.frame_bgr).any(axis=2)


def has_color(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((picture == color).all(axis=2).any())


def test_draws_on_a_copy(make_result):
    result = make_result()
    before = result.frame.frame_bgr.copy()
    picture = draw_result(result, LABELS)
    np.testing.assert_array_equal(result.frame.frame_bgr, before)
    assert not np.shares_memory(picture, result.frame.frame_bgr)
    assert picture.dtype == np.uint8
    assert (picture != before).any()
    assert not picture.flags.writeable, "all sinks share it"


def test_without_faces_nothing_is_drawn(make_result):
    assert not changed(make_result(boxes=())).any()


def test_outline_lies_on_the_box_and_leaves_the_face_free(make_result):
    mask = changed(make_result(boxes=((60, 80, 160, 180),), size=(300, 300)))
    assert mask[80:180, 60].all()
    assert mask[80:180, 159].all()
    assert mask[179, 60:160].all()
    assert not mask[90:170, 70:150].any()


def test_outline_is_dashed_where_the_face_is_predicted(make_result):
    mask = changed(make_result(boxes=((60, 80, 160, 180),), size=(300, 300), is_detected=False))
    assert 30 < mask[179, 60:160].sum() < 80
    assert mask[179, 60]
    assert not mask[90:170, 70:150].any()


@pytest.mark.parametrize("top", [0, 3, 10])
def test_tag_near_the_top_edge_is_below_the_box(make_result, top):
    far = changed(make_result(boxes=((60, 80, 160, 180),), size=(300, 300)))
    near = changed(make_result(boxes=((60, top, 160, top + 100),), size=(300, 300)))
    height = far[:78, 70:150].any(axis=1).sum()
    assert height > 8
    assert near[top + 100 : top + 100 + height, 70:100].all(), "the whole tag is in the picture"
    assert not near[top + 3 : top + 97, 63:157].any(), "and nothing is on the face"


def test_tag_at_the_right_edge_moves_left(make_result):
    mask = changed(make_result(boxes=((280, 80, 300, 100),), size=(300, 300)))
    tag = mask[:78].any(axis=0)
    assert tag[299]
    assert tag.sum() > 80


def test_unsure_is_gray(make_result):
    sure, unsure = (draw_result(make_result(is_sure=is_sure), LABELS) for is_sure in (True, False))
    assert has_color(unsure, GRAY)
    assert not has_color(sure, GRAY)


def test_unreadable_is_brown_and_has_no_chart(make_result):
    boxes = ((20, 80, 120, 180),)
    sure, unreadable = (draw_result(make_result(boxes=boxes, size=(300, 300), is_readable=r), LABELS) for r in (1, 0))
    assert has_color(unreadable, overlay._UNREADABLE)
    assert not has_color(sure, overlay._UNREADABLE)
    assert (unreadable[100:180, 130:] == 100).all(), "its probabilities mean nothing"
    assert not (sure[100:180, 130:] == 100).all()


def test_tag_says_what_is_shown(make_result, monkeypatch):
    said = []
    put_text = tags.cv2.putText
    monkeypatch.setattr(tags.cv2, "putText", lambda *args: said.append(args[1]) or put_text(*args))
    draw_result(make_result(boxes=((10, 30, 60, 80), (150, 30, 190, 80)), size=(300, 300)), LABELS)
    draw_result(make_result(boxes=((10, 30, 60, 80),), size=(300, 300), is_sure=False), LABELS)
    draw_result(make_result(boxes=((10, 30, 60, 80),), size=(300, 300), is_sure=False, is_readable=False), LABELS)
    tags_said = [text for text in said if text.startswith("#")]
    assert tags_said == ["#1 bright 62%", "#2 bright 62%", "#1 unsure 62%", "#1 unreadable"]


class TestChart:
    def area(self, result, box) -> np.ndarray:
        """What is drawn outside the columns and rows of box and tag."""
        mask = changed(result)
        mask[: box[3] + 2, box[0] - 2 : box[2] + 2] = False
        mask[: box[1]] = False
        return mask

    @pytest.mark.parametrize(
        ("box", "side"), [((20, 80, 120, 180), "right"), ((180, 80, 280, 180), "left"), ((60, 80, 240, 180), "below")]
    )
    def test_stands_where_there_is_room(self, make_result, box, side):
        area = self.area(make_result(boxes=(box,), size=(300, 300)), box)
        rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
        assert len(rows) > 20
        if side == "right":
            assert columns[0] >= box[2]
        elif side == "left":
            assert columns[-1] < box[0]
        else:
            assert rows[0] > box[3]

    def test_is_left_out_where_there_is_no_room(self, make_result):
        box = (20, 40, 280, 290)
        assert not self.area(make_result(boxes=(box,), size=(300, 300)), box).any()

    def test_never_covers_another_face(self, make_result):
        boxes = ((20, 80, 120, 180), (130, 80, 230, 180), (20, 190, 290, 290))
        mask = changed(make_result(boxes=boxes, size=(300, 300)))
        for x1, y1, x2, y2 in boxes:
            assert not mask[y1 + 24 : y2 - 24, x1 + 3 : x2 - 3].any()

    @pytest.mark.parametrize(("dark", "bright"), [(0.0, 1.0), (1.0, 0.0), (0.25, 0.75)])
    def test_bars_are_as_long_as_the_smoothed_probabilities(self, make_result, dark, bright):
        box = (20, 80, 120, 180)
        smoothed = Emotion("bright", bright, Probabilities.from_dict({"dark": dark, "bright": bright}))
        result = make_result(boxes=(box,), size=(300, 300), smoothed=smoothed, is_sure=False)
        panel = draw_result(result, LABELS)[80:, 122:]
        lengths = [(panel == overlay.color_of(label, LABELS)).all(axis=2).any(axis=0).sum() for label in LABELS]
        full = sum(lengths)
        assert full > 20
        np.testing.assert_allclose(lengths, [dark * full, bright * full], atol=1.5)


@pytest.mark.parametrize("size", [(8, 6), (100, 80), (480, 270), (1920, 1080)])
def test_letters_grow_with_the_frame_but_more_slowly(size):
    small, style = overlay.style_of(480, 270), overlay.style_of(*size)
    assert 0.85 <= style.font / small.font <= 4 / 1.5


class TestDrawing:
    def test_is_drawn_once_for_all_threads(self, make_result, monkeypatch):
        num_drawn = []
        draw = overlay.draw_result
        monkeypatch.setattr(overlay, "draw_result", lambda *args: num_drawn.append(1) or draw(*args))
        drawing = Drawing(make_result(), LABELS)
        assert num_drawn == [], "not before anybody asks"
        ready = threading.Barrier(8)

        def ask(_: int) -> np.ndarray:
            ready.wait()
            return drawing.picture()

        with ThreadPoolExecutor(8) as threads:
            pictures = list(threads.map(ask, range(8)))
        assert num_drawn == [1]
        assert all(picture is pictures[0] for picture in pictures)

    def test_is_what_draw_result_draws(self, make_result):
        result = make_result()
        np.testing.assert_array_equal(Drawing(result, LABELS).picture(), draw_result(result, LABELS))


def test_color_follows_the_label(make_result):
    results = [draw_result(make_result(), labels) for labels in (("dark", "bright"), ("bright", "dark"))]
    assert (results[0] != results[1]).any()


@pytest.mark.parametrize("box", [(0, 0, 100, 80), (99, 79, 100, 80), (0, 79, 1, 80)])
def test_boxes_at_the_border(make_result, box):
    assert changed(make_result(boxes=(box,))).any()


def test_more_labels_than_colors(make_result):
    labels = (*(f"class_{i}" for i in range(20)), "bright")
    assert draw_result(make_result(), labels).shape == (80, 100, 3)
