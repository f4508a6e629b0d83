import pytest

from fer_deploy.vision.tracking.interpolation import faces_between
from fer_deploy.vision.types import Box, Detection, TrackedFace


def face(track_id: int, x: int, *, landmarks=None) -> TrackedFace:
    return TrackedFace(track_id, Detection(Box(x, 0, x + 40, 50), 0.8, landmarks))


def test_a_face_seen_on_both_sides_is_interpolated():
    points = ((0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0))
    moved = tuple((x + 20, y + 8) for x, y in points)
    (between,) = faces_between([face(7, 0, landmarks=points)], [face(7, 20, landmarks=moved)], 0.25)
    quarter = tuple((x + 5, y + 2) for x, y in points)
    assert between == TrackedFace(7, Detection(Box(5, 0, 45, 50), 0.8, quarter), is_detected=False)


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, [1]), (0.4, [1]), (0.5, [2]), (0.9, [2])])
def test_a_face_seen_on_one_side_stands_there_for_the_nearer_half(fraction, expected):
    assert [found.track_id for found in faces_between([face(1, 0)], [face(2, 300)], fraction)] == expected


def test_ends_of_the_gap_are_the_faces_themselves():
    before, after = [face(1, 0), face(2, 100)], [face(2, 140), face(1, 10)]
    assert [found.detection for found in faces_between(before, after, 0.0)] == [found.detection for found in before]
    at_the_end = {found.track_id: found.detection for found in faces_between(before, after, 1.0)}
    assert at_the_end == {found.track_id: found.detection for found in after}


def test_landmarks_known_on_one_side_only_are_not_made_up():
    (between,) = faces_between([face(1, 0, landmarks=((0.0, 0.0),) * 5)], [face(1, 0)], 0.5)
    assert between.detection.landmarks is None
