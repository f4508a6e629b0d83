import cv2
import numpy as np
import pytest

from fer_deploy.errors import ConfigError, MissingDependencyError
from fer_deploy.live.sources.synthetic import SyntheticSource
from fer_deploy.vision.detector import HaarDetector, build_detector
from fer_deploy.vision.preprocess import gray_from_bgr


@pytest.fixture(scope="module")
def scene():
    return gray_from_bgr(next(SyntheticSource().frames()).frame_bgr)


def test_boxes_from_left_to_right_inside_the_frame(scene):
    left, right = HaarDetector().detect(scene)
    assert left.x1 < right.x1
    for box in (left, right):
        assert 0 <= box.x1 < box.x2 <= 640
        assert 0 <= box.y1 < box.y2 <= 360
        assert all(type(value) is int for value in (box.x1, box.y1, box.x2, box.y2))


@pytest.mark.parametrize("shape", [(100, 100), (10, 10), (1, 1)])
def test_nothing_in_an_empty_frame(shape):
    assert HaarDetector().detect(np.full(shape, 120, dtype=np.uint8)) == []


def test_min_size(scene):
    assert HaarDetector(min_size=300).detect(scene) == []


def test_by_name():
    assert isinstance(build_detector("haar"), HaarDetector)
    with pytest.raises(ConfigError, match=r"unknown detector 'yunet'\. Known detectors: haar"):
        build_detector("yunet")


def test_opencv_5_has_no_cascades(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(MissingDependencyError, match=r"needs OpenCV 4; this is .*pip install 'opencv-python<5'"):
        HaarDetector()


def test_cascade_file_is_missing(monkeypatch):
    monkeypatch.setattr("fer_deploy.vision.detector._HAAR_FILE", "nothing.xml")
    with pytest.raises(MissingDependencyError, match=r"lacks nothing\.xml\. Fix: pip install --force-reinstall"):
        HaarDetector()
