from itertools import islice

import cv2
import numpy as np
import pytest

from fer_deploy.detectors.finder import FoundFaces
from fer_deploy.detectors.search import FaceSearch, is_gray
from fer_deploy.errors import ConfigError
from fer_deploy.vision.types import Box

LANDMARKS = ((3.0, 4.0), (7.0, 4.0), (5.0, 6.0), (3.5, 8.0), (6.5, 8.0))


class MarkFinder:
    """Finds what it was told to, given in pixels of the frame of 480x270, and keeps the pictures that it saw."""

    def __init__(self, *boxes, smallest_face=16, largest_picture=None, has_landmarks=True, frame=(480, 270)):
        self.smallest_face, self.largest_picture = smallest_face, largest_picture
        self.smallest_gray_face = smallest_face
        self._boxes, self._has_landmarks, self._frame = boxes, has_landmarks, frame
        self.seen = []

    def find(self, picture_bgr):
        self.seen.append(picture_bgr.copy())
        scale = np.tile(np.array(picture_bgr.shape[1::-1]) / self._frame, 2)
        boxes = np.array(self._boxes, dtype=np.float32).reshape(-1, 4) * scale.astype(np.float32)
        landmarks = np.tile(np.array(LANDMARKS, dtype=np.float32), (len(boxes), 1, 1)) * scale[:2].astype(np.float32)
        scores = np.linspace(0.9, 0.7, len(boxes)).astype(np.float32)
        return FoundFaces(boxes, scores, landmarks if self._has_landmarks else None)


@pytest.fixture
def frame():
    return np.random.default_rng(1).integers(0, 256, (270, 480, 3)).astype(np.uint8)


def boxes(detections):
    return [(d.box.x1, d.box.y1, d.box.x2, d.box.y2) for d in detections]


def test_left_to_right_with_scores_and_landmarks(frame):
    found = FaceSearch(MarkFinder((200, 10, 240, 60), (20, 30, 60, 80)), min_face=16).detect(frame)
    assert boxes(found) == [(20, 30, 60, 80), (200, 10, 240, 60)]
    assert [d.score for d in found] == pytest.approx([0.7, 0.9])
    assert found[0].landmarks == LANDMARKS
    assert all(type(value) is float for point in found[0].landmarks for value in point)
    assert all(type(value) is int for value in boxes(found)[0])


def test_without_landmarks(frame):
    (found,) = FaceSearch(MarkFinder((20, 30, 60, 80), has_landmarks=False)).detect(frame)
    assert found.landmarks is None


def test_nothing(frame):
    assert FaceSearch(MarkFinder()).detect(frame) == []


def test_boxes_are_cut_to_the_frame_and_those_outside_left_out(frame):
    finder = MarkFinder((-20, -5, 30, 40), (450, 250, 500, 300), (485, 0, 520, 30), (10, -40, 30, -2))
    assert boxes(FaceSearch(finder).detect(frame)) == [(0, 0, 30, 40), (450, 250, 480, 270)]


class TestResolution:
    @pytest.mark.parametrize(
        ("min_face", "size"), [(16, (480, 270)), (8, (480, 270)), (32, (240, 135)), (64, (120, 68))]
    )
    def test_the_smallest_face_becomes_what_the_finder_needs(self, frame, min_face, size):
        finder = MarkFinder((100, 50, 200, 180), smallest_face=16)
        (found,) = FaceSearch(finder, min_face=min_face).detect(frame)
        assert finder.seen[0].shape == (size[1], size[0], 3)
        assert found.box == Box(100, 50, 200, 180)
        np.testing.assert_allclose(found.landmarks, LANDMARKS, rtol=1e-5)

    @pytest.mark.parametrize(
        ("height", "width", "scaled"), [(270, 480, (180, 320)), (1080, 1920, (320, 569)), (100, 60, (67, 40))]
    )
    def test_by_the_frame_where_none_was_asked_for(self, height, width, scaled):
        finder = MarkFinder(smallest_face=16)
        FaceSearch(finder).detect(np.zeros((height, width, 3), dtype=np.uint8))
        assert finder.seen[0].shape[:2] == scaled

    def test_a_gray_picture_is_searched_at_the_size_that_gray_faces_need(self, frame):
        finder = MarkFinder((100, 50, 200, 180), smallest_face=16)
        finder.smallest_gray_face = 24
        search = FaceSearch(finder, min_face=32)
        gray = np.repeat(frame[..., :1], 3, axis=2)
        gray[:20, :60] = (0, 0, 255)  # the clock that many cameras draw
        search.detect(frame)
        (found,) = search.detect(gray)
        assert [picture.shape[:2] for picture in finder.seen] == [(135, 240), (202, 360)]
        assert found.box == Box(100, 50, 200, 180)

    def test_the_finders_limit(self, frame):
        finder = MarkFinder((100, 50, 200, 180), largest_picture=(240, 240))
        (found,) = FaceSearch(finder, min_face=8).detect(frame)
        assert finder.seen[0].shape == (135, 240, 3)
        assert found.box == Box(100, 50, 200, 180)

    def test_smaller_faces_are_left_out_where_a_size_was_asked_for(self, frame):
        faces = [(10, 10, 40, 49), (60, 10, 90, 50), (120, 10, 220, 140)]
        assert len(FaceSearch(MarkFinder(*faces)).detect(frame)) == 3
        assert boxes(FaceSearch(MarkFinder(*faces), min_face=40).detect(frame)) == faces[1:]

    def test_the_size_of_the_frame_may_change(self, frame):
        finder = MarkFinder((100, 50, 200, 180))
        search = FaceSearch(finder, min_face=32)
        search.detect(frame)
        search.detect(np.zeros((100, 100, 3), dtype=np.uint8))
        search.detect(frame)
        assert [picture.shape[:2] for picture in finder.seen] == [(135, 240), (50, 50), (135, 240)]
        np.testing.assert_array_equal(finder.seen[0], finder.seen[2])


class TestRegion:
    def test_only_the_region_is_looked_at(self, frame):
        finder = MarkFinder((5, 6, 40, 50), frame=(240, 270))
        (found,) = FaceSearch(finder, roi=(0.5, 0, 1, 1), min_face=16).detect(frame)
        np.testing.assert_array_equal(finder.seen[0], frame[:, 240:])
        assert found.box == Box(245, 6, 280, 50)
        np.testing.assert_allclose(found.landmarks, np.array(LANDMARKS) + np.array([240, 0]))

    def test_a_face_may_reach_beyond_the_region(self, frame):
        finder = MarkFinder((-10, 6, 40, 50), frame=(100, 100))
        (found,) = FaceSearch(finder, roi=(50, 50, 150, 150)).detect(frame)
        assert found.box == Box(40, 56, 90, 100)

    def test_scaled_as_the_whole_frame_would_be(self, frame):
        finder = MarkFinder((10, 10, 60, 70), frame=(100, 100))
        (found,) = FaceSearch(finder, roi=(50, 50, 150, 150), min_face=32).detect(frame)
        assert finder.seen[0].shape == (50, 50, 3)
        assert found.box == Box(60, 60, 110, 120)

    def test_a_region_in_pixels_of_a_larger_first_frame(self, frame):
        finder = MarkFinder((5, 6, 40, 50), frame=(240, 270))
        (found,) = FaceSearch(finder, roi=(480, 0, 960, 540), min_face=16).detect(frame, (960, 540))
        np.testing.assert_array_equal(finder.seen[0], frame[:, 240:])
        assert found.box == Box(245, 6, 280, 50)

    def test_outside_of_the_frame(self, frame):
        with pytest.raises(ConfigError, match="has no pixel in a frame of 480x270"):
            FaceSearch(MarkFinder(), roi=(480, 0, 500, 20)).detect(frame)


@pytest.mark.parametrize(("max_faces", "kept"), [(1, [1]), (2, [1, 2]), (3, [0, 1, 2]), (9, [0, 1, 2])])
def test_max_faces_keeps_the_largest(frame, max_faces, kept):
    faces = [(10, 10, 40, 50), (60, 10, 160, 140), (200, 10, 260, 90)]
    found = FaceSearch(MarkFinder(*faces), max_faces=max_faces).detect(frame)
    assert boxes(found) == [faces[i] for i in kept]


@pytest.mark.parametrize(
    ("name", "gray"),
    [("noise in every color", False), ("black", True), ("compressed gray", True), ("half in color", False)],
)
def test_what_counts_as_gray(frame, name, gray):
    picture = {
        "noise in every color": frame,
        "black": np.zeros((1, 1, 3), dtype=np.uint8),
        "compressed gray": np.repeat(frame[..., :1] // 2, 3, axis=2) + np.array([0, 4, 6], dtype=np.uint8),
        "half in color": np.where(np.arange(480)[None, :, None] < 240, frame, frame[..., :1]),
    }[name]
    assert is_gray(picture) is gray


@pytest.mark.usefixtures("shared_dir")
def test_gray_faces_of_a_clip_are_found(shared_dir):
    """The picture of an infrared camera: at the scale for colors YuNet finds a fifth of these faces."""
    from fer_deploy.detectors.yunet import YuNetFinder, open_yunet  # noqa: PLC0415
    from fer_deploy.live.sources.pictures import open_still  # noqa: PLC0415

    network = open_yunet(shared_dir / "models/face_detection_yunet_2026may.onnx", fix="")
    clip = open_still(shared_dir / "clips/head-pose-face-detection-female-and-male.gif")
    search = FaceSearch(YuNetFinder(network))
    found = [
        len(search.detect(np.repeat(cv2.cvtColor(still.pixels, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)))
        for still in islice(clip.frames(), 0, None, 6)
    ]
    assert sum(found) >= 0.9 * 2 * len(found)
