import cv2
import numpy as np
import pytest

from fer_deploy.detectors.haar import HaarFinder
from fer_deploy.errors import MissingDependencyError
from fer_deploy.live.sources.synthetic import SyntheticSource


@pytest.fixture(scope="module")
def scene():
    return next(SyntheticSource().frames()).frame_bgr


def test_two_faces_narrower_than_the_cascades_squares(scene):
    found = HaarFinder().find(scene)
    assert found.landmarks is None
    assert found.scores.tolist() == [1.0, 1.0]
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
    np.testing.assert_allclose(sides[:, 0] / sides[:, 1], 0.80 / 1.04, rtol=1e-4)
    assert (sides > 70).all()


@pytest.mark.parametrize("shape", [(100, 100, 3), (10, 10, 3), (1, 1, 3)])
def test_nothing_in_an_empty_frame(shape):
    found = HaarFinder().find(np.full(shape, 120, dtype=np.uint8))
    assert (found.boxes_xyxy.shape, found.scores.shape) == ((0, 4), (0,))


def test_smallest_face(scene):
    assert len(HaarFinder(smallest_face=300).find(scene).scores) == 0


def test_the_frame_stays_as_it_was(scene):
    before = scene.copy()
    HaarFinder(equalized=True).find(scene)
    np.testing.assert_array_equal(scene, before)


def test_opencv_5_has_no_cascades(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(MissingDependencyError, match=r"needs OpenCV 4; this is .*pip install 'opencv-python<5'"):
        HaarFinder()


def test_cascade_file_is_missing(monkeypatch):
    monkeypatch.setattr("fer_deploy.detectors.haar._HAAR_FILE", "nothing.xml")
    with pytest.raises(MissingDependencyError, match=r"lacks nothing\.xml\. Fix: pip install --force-reinstall"):
        HaarFinder()
