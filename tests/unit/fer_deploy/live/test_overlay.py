import numpy as np
import pytest

from fer_deploy.live.overlay import draw_result

LABELS = ("dark", "bright")


def changed(result) -> np.ndarray:
    return (draw_result(result, LABELS) != result.frame.frame_bgr).any(axis=2)


def test_draws_on_a_copy(make_result):
    result = make_result()
    before = result.frame.frame_bgr.copy()
    picture = draw_result(result, LABELS)
    np.testing.assert_array_equal(result.frame.frame_bgr, before)
    assert not np.shares_memory(picture, result.frame.frame_bgr)
    assert picture.dtype == np.uint8
    assert (picture != before).any()


def test_without_faces_nothing_is_drawn(make_result):
    assert not changed(make_result(boxes=())).any()


def test_outline_lies_on_the_box_and_leaves_the_face_free(make_result):
    mask = changed(make_result(boxes=((60, 80, 160, 180),), size=(300, 300)))
    assert mask[80:180, 60].all()
    assert mask[80:180, 159].all()
    assert mask[179, 60:160].all()
    assert not mask[90:170, 70:150].any()
    assert not mask[185:].any()


@pytest.mark.parametrize("top", [0, 3, 10])
def test_label_near_the_top_edge_is_inside_the_box(make_result, top):
    far = changed(make_result(boxes=((60, 80, 160, 180),), size=(300, 300)))
    near = changed(make_result(boxes=((60, top, 160, top + 100),), size=(300, 300)))
    bar = far[:78, 70:150].any(axis=1).sum()
    assert bar > 8
    assert near[top : top + bar, 70:100].all(), "the whole bar of the label is in the picture"


def test_color_follows_the_label(make_result):
    results = [draw_result(make_result(), labels) for labels in (("dark", "bright"), ("bright", "dark"))]
    assert (results[0] != results[1]).any()


@pytest.mark.parametrize("box", [(0, 0, 100, 80), (99, 79, 100, 80), (0, 79, 1, 80)])
def test_boxes_at_the_border(make_result, box):
    assert changed(make_result(boxes=(box,))).any()


def test_more_labels_than_colors(make_result):
    labels = (*(f"class_{i}" for i in range(20)), "bright")
    assert draw_result(make_result(), labels).shape == (80, 100, 3)
