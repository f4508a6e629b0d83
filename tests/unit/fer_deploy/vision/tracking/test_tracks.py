import json
import math

import cv2
import numpy as np
import pytest

from fer_deploy.vision.tracking.motion import PLACE_ERROR
from fer_deploy.vision.tracking.tracks import Tracker
from fer_deploy.vision.types import Box, Detection

FRAME_BGR = np.zeros((480, 2000, 3), dtype=np.uint8)
SIZE = 60


def tracker(*, keep_s=2.0, reach=1.0) -> Tracker:
    return Tracker(keep_s=keep_s, reach=reach)


def at(x: float, y: float = 200, *, size: int = SIZE, score: float = 0.9) -> Detection:
    return Detection(Box(round(x), round(y), round(x) + size, round(y) + size), score)


def ids(known: Tracker, detections: list[Detection], time_s: float) -> list[int]:
    return [face.track_id for face in known.see(FRAME_BGR, detections, time_s)]


def test_detections_come_back_as_they_are_with_numbers_from_1():
    detections = [at(500), at(100, score=0.7)]
    faces = tracker().see(FRAME_BGR, detections, 0.0)
    assert [(face.track_id, face.detection, face.is_detected) for face in faces] == [
        (1, detections[0], True),
        (2, detections[1], True),
    ]


def test_nobody_is_no_trouble():
    known = tracker()
    assert known.follow(FRAME_BGR, 0.0) == ()
    assert known.see(FRAME_BGR, [], 0.1) == ()
    assert known.follow(FRAME_BGR, 0.2) == ()


def test_numbers_do_not_depend_on_the_detectors_order():
    known = tracker()
    assert ids(known, [at(100), at(300), at(500)], 0.0) == [1, 2, 3]
    assert ids(known, [at(505), at(100), at(298)], 0.1) == [3, 1, 2]


@pytest.mark.parametrize("fps", [10, 25, 60])
@pytest.mark.parametrize("hidden_below", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("speed", [60.0, 150.0, 300.0])
def test_two_people_who_cross_keep_their_numbers(fps, hidden_below, speed):
    """They pass each other 20 pixels apart in height; the farther one is hidden while nearer than so many sizes."""
    known = tracker()
    seconds = 1200 / speed / 2
    for index in range(round(seconds * fps)):
        x = 100 + speed * index / fps
        near, far = at(x), at(700 - (x - 100), 220)
        is_hidden = abs(far.box.x1 - near.box.x1) < hidden_below * SIZE
        found = ids(known, [near] if is_hidden else [near, far], index / fps)
        assert found == ([1] if is_hidden else [1, 2]), (index, x)


@pytest.mark.parametrize("fps", [10, 60])
def test_fifty_people_on_the_move_keep_their_numbers(fps):
    known, rng = tracker(), np.random.default_rng(5)
    places = np.stack(np.meshgrid(np.arange(10) * 190, np.arange(5) * 95), axis=-1).reshape(-1, 2).astype(float)
    phases, order = rng.random(50) * 2 * math.pi, np.arange(50)
    for index in range(3 * fps):
        time_s = index / fps
        swing = 25 * np.stack([np.cos(2 * time_s + phases), np.sin(2 * time_s + phases)], axis=-1)
        found = ids(known, [at(*(places[who] + swing[who] + 26)) for who in order], time_s)
        assert found == [who + 1 for who in order]
        if index:
            order = rng.permutation(50)


def test_irregular_steps_and_single_misses():
    known, rng, time_s = tracker(), np.random.default_rng(8), 0.0
    for step in range(300):
        x = 300 + 150 * math.sin(time_s)
        if step % 4:
            assert ids(known, [at(x)], time_s) == [1]
        else:
            known.see(FRAME_BGR, [], time_s)
        time_s += rng.uniform(0, 0.3)


@pytest.mark.parametrize(("gap_s", "expected"), [(0.5, 1), (1.9, 1), (2.1, 2), (1e9, 2)])
def test_who_comes_back_in_time_is_known(gap_s, expected):
    known = tracker(keep_s=2.0)
    for index in range(10):
        ids(known, [at(400)], index / 10)
    assert ids(known, [at(410)], 0.9 + gap_s) == [expected]


@pytest.mark.parametrize("fps", [10, 60])
def test_who_leaves_while_another_stays_is_forgotten_in_time(fps):
    known = tracker(keep_s=1.0)
    ids(known, [at(100), at(500)], 0.0)
    for index in range(1, 2 * fps):
        assert ids(known, [at(500)], index / fps) == [2]
    assert len(known.state()["tracks"]) == 1
    assert ids(known, [at(100), at(500)], 2.0) == [3, 2]


@pytest.mark.parametrize(("step_s", "expected"), [(-0.02, [1]), (-1.9, [1]), (-2.1, [2]), (-1e9, [2]), (1e9, [2])])
def test_a_jitter_of_the_clock_is_borne_and_a_leap_begins_anew(step_s, expected):
    known = tracker(keep_s=2.0)
    ids(known, [at(400)], 0.0)
    ids(known, [at(400)], 0.1)
    assert ids(known, [at(400)], 0.1 + step_s) == expected
    assert ids(known, [at(402)], 0.2 + step_s) == expected


def test_a_face_far_away_or_of_another_size_is_another():
    known = tracker()
    ids(known, [at(400)], 0.0)
    assert ids(known, [at(400 + 3 * SIZE)], 0.1) == [2]
    assert ids(known, [at(400 - SIZE, 200 - SIZE, size=3 * SIZE)], 0.2) == [3]


def test_a_face_found_twice_counts_once_and_the_better_score_wins():
    known = tracker()
    better = at(402, score=0.95)
    faces = known.see(FRAME_BGR, [at(400), better, at(420, 240), at(398)], 0.0)
    assert [face.detection for face in faces] == [better, at(420, 240)]
    assert ids(known, [at(403), at(401), at(421, 241)], 0.1) == [1, 2]


def test_numbers_are_never_given_twice_and_memory_is_bounded():
    known, given = tracker(keep_s=1.0), []
    for index in range(2000):
        given += ids(known, [at(100 + 300 * (index % 6))], index / 10 * 3)
    assert given == list(range(1, 2001))
    assert len(known.state()["tracks"]) == 4


def textured(x: int, y: int = 150) -> np.ndarray:
    """Return a frame with one face-like patch of blobs whose corner is at x, y."""
    frame = np.full((400, 600, 3), 60, dtype=np.uint8)
    blobs = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (120, 100, 3), dtype=np.uint8), (0, 0), 3)
    frame[y : y + 120, x : x + 100] = cv2.normalize(blobs, None, 0, 255, cv2.NORM_MINMAX)
    return frame


def found_at(x: int, y: int = 150) -> Detection:
    points = ((x + 30, y + 40), (x + 70, y + 40), (x + 50, y + 60), (x + 35, y + 90), (x + 65, y + 90))
    return Detection(Box(x, y, x + 100, y + 120), 0.8, tuple((float(px), float(py)) for px, py in points))


def test_between_detections_boxes_and_landmarks_follow_the_picture():
    known = tracker()
    known.see(textured(200), [found_at(200)], 0.0)
    for step in range(1, 9):
        x, y = 200 + 9 * step, 150 - 4 * step
        (face,) = known.follow(textured(x, y), step / 25)
        got, want = face.detection, found_at(x, y)
        assert (face.track_id, face.is_detected, got.score) == (1, False, 0.8)
        assert np.abs(np.subtract(tuple(vars(got.box).values()), tuple(vars(want.box).values()))).max() <= 2
        assert np.abs(np.subtract(got.landmarks, want.landmarks)).max() < 2


def test_where_the_picture_does_not_tell_the_face_moves_on():
    known = tracker()
    for step in range(25):
        known.see(FRAME_BGR, [at(100 + 4 * step)], step / 25)
    (face,) = known.follow(FRAME_BGR, 1.1)
    assert face.detection.box.x1 == pytest.approx(at(100 + 4 * 27).box.x1, abs=3)
    assert face.detection.landmarks is None


def test_a_followed_face_stays_in_the_frame_or_is_left_out():
    known, frame = tracker(keep_s=60), np.zeros((300, 400, 3), np.uint8)
    for step in range(20):
        known.see(frame, [Detection(Box(300 + 2 * step, 100, 360 + 2 * step, 160))], step / 25)
    seen = [known.follow(frame, 0.8 + step / 5) for step in range(30)]
    boxes = [face.detection.box for faces in seen for face in faces]
    assert all(0 <= box.x1 < box.x2 <= 400 for box in boxes)
    assert boxes[0].x2 == 400


def test_a_missed_face_is_not_shown_until_it_is_found_again():
    known = tracker()
    ids(known, [at(100), at(400)], 0.0)
    assert ids(known, [at(400)], 0.1) == [2]
    assert [face.track_id for face in known.follow(FRAME_BGR, 0.15)] == [2]
    assert ids(known, [at(100), at(400)], 0.2) == [1, 2]


def test_a_face_that_is_followed_for_long_is_not_forgotten():
    known = tracker(keep_s=1.0)
    known.see(textured(200), [found_at(200)], 0.0)
    for step in range(1, 50):
        assert [face.track_id for face in known.follow(textured(200), step / 10)] == [1]
    assert [face.track_id for face in known.see(textured(203), [found_at(203)], 5.0)] == [1]


@pytest.mark.parametrize("cut", range(12))
def test_a_run_cut_anywhere_and_restored_goes_on_alike(cut):
    def step(known: Tracker, index: int):
        x = 200 + 5 * index
        if index % 3:
            return known.follow(textured(x), index / 25)
        return known.see(textured(x), [found_at(x), at(500, 20)][: 1 + index % 2], index / 25)

    whole, first, second = tracker(), tracker(), tracker()
    expected = [step(whole, index) for index in range(12)]
    assert [step(first, index) for index in range(cut)] == expected[:cut]
    second.restore(json.loads(json.dumps(first.state())))
    assert [step(second, index) for index in range(cut, 12)] == expected[cut:]
    assert second.state() == whole.state()


def test_a_face_seen_once_is_known_as_well_as_one_detection_tells():
    known = tracker()
    known.see(FRAME_BGR, [at(500)], 0.0)
    (track,) = known.state()["tracks"]
    assert track["motion"]["variances"][0] == pytest.approx(PLACE_ERROR**2)
    known.see(FRAME_BGR, [at(500)], 0.0)
    (track,) = known.state()["tracks"]
    assert track["motion"]["variances"][0] == pytest.approx(PLACE_ERROR**2 / 2)


def sized(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), dtype=np.uint8)


class TestSizeOfTheFrame:
    """The scene stays the same when its frames change their size."""

    @pytest.mark.parametrize("factor", [0.25, 0.5, 2, 4])
    def test_numbers_stay(self, factor):
        known = tracker()
        large = [at(400, 100), at(900, 300), at(1500, 200)]
        assert [face.track_id for face in known.see(sized(2000, 480), large, 0.0)] == [1, 2, 3]
        resized = [
            Detection(Box(*(round(factor * value) for value in (box.x1, box.y1, box.x2, box.y2))))
            for box in (found.box for found in reversed(large))
        ]
        frame = sized(round(2000 * factor), round(480 * factor))
        assert [face.track_id for face in known.see(frame, resized, 0.04)] == [3, 2, 1]

    @pytest.mark.parametrize("factor", [0.25, 3])
    def test_following_goes_on_in_the_new_pixels(self, factor):
        known = tracker()
        landmarks = ((415.0, 120.0), (445.0, 120.0), (430.0, 135.0), (418.0, 150.0), (442.0, 150.0))
        known.see(sized(2000, 480), [Detection(Box(400, 100, 460, 160), 0.9, landmarks)], 0.0)
        (face,) = known.follow(sized(round(2000 * factor), round(480 * factor)), 0.04)
        box = face.detection.box
        wanted = [factor * value for value in (400, 100, 460, 160)]
        assert np.allclose([box.x1, box.y1, box.x2, box.y2], wanted, atol=1)
        assert np.allclose(face.detection.landmarks, np.array(landmarks) * factor, atol=1)

    def test_width_and_height_may_change_apart(self):
        known = tracker()
        known.see(sized(200, 100), [Detection(Box(100, 50, 140, 90))], 0.0)
        (face,) = known.follow(sized(100, 200), 0.04)
        assert face.detection.box == Box(50, 100, 70, 180)

    def test_the_size_is_part_of_the_state(self):
        known, restored = tracker(), tracker()
        known.see(sized(2000, 480), [at(400, 100)], 0.0)
        restored.restore(json.loads(json.dumps(known.state())))
        (face,) = restored.see(sized(1000, 240), [Detection(Box(200, 50, 230, 80))], 0.04)
        assert face.track_id == 1

    def test_a_state_of_an_older_version_has_no_size(self):
        known, restored = tracker(), tracker()
        known.see(sized(2000, 480), [at(400, 100)], 0.0)
        state = known.state()
        del state["frame_size"]
        restored.restore(state)
        (face,) = restored.see(sized(2000, 480), [at(405, 100)], 0.04)
        assert face.track_id == 1


def test_hidden_are_the_faces_that_were_not_found():
    known = tracker(keep_s=1.0)
    assert known.hidden() == ()
    known.see(FRAME_BGR, [at(100), at(500)], 0.0)
    assert known.hidden() == ()
    known.see(FRAME_BGR, [at(110), at(500)], 0.1)
    known.see(FRAME_BGR, [at(500)], 0.2)
    last, expected = known.hidden()
    assert last == at(110).box
    assert 110 < expected.x1 <= 120, "where it was going"
    known.follow(FRAME_BGR, 0.3)
    assert last in known.hidden()
    known.see(FRAME_BGR, [at(500)], 1.3)
    assert known.hidden() == ()
