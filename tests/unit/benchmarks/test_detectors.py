"""The ratios of detectors.py keep their rounds, which tell their noise."""

from pathlib import Path
from types import SimpleNamespace

import detectors
import numpy as np
import pytest


@pytest.fixture
def row(monkeypatch):
    """Two frames in three rounds; OpenCV becomes slower from round to round."""
    seconds = {"ours": [1.0] * 6, "cv2": [2.0, 2.0, 3.0, 3.0, 6.0, 6.0], "search": [0.5] * 6}
    monkeypatch.setattr(detectors, "seconds_in_turn", lambda *_, **__: seconds)
    monkeypatch.setattr(detectors, "open_yunet", lambda *_, **__: None)
    monkeypatch.setattr(detectors, "YuNetFinder", lambda *_, **__: SimpleNamespace(find=None))
    monkeypatch.setattr(detectors, "FaceSearch", lambda _: SimpleNamespace(detect=None))
    opencv = SimpleNamespace(create=lambda *_: SimpleNamespace(detect=None))
    monkeypatch.setattr(detectors, "cv2", SimpleNamespace(setNumThreads=lambda _: None, FaceDetectorYN=opencv))
    frames = [np.zeros((4, 6, 3), dtype=np.uint8)] * 2
    return detectors.measure_speed(Path("yunet.onnx"), frames, rounds=3, threads=1)


def test_a_ratio_has_a_median_in_each_round(row):
    assert (row["cv2 / ours"], row["cv2 / search"]) == (3.0, 6.0)
    assert row[detectors.IN_ROUNDS] == {"cv2 / ours": [2.0, 3.0, 6.0], "cv2 / search": [4.0, 6.0, 12.0]}


def test_the_rounds_are_compared_and_not_in_the_table(row):
    result = {"environment": {"command": "", "hardware": ""}, "speed": {"a.gif": [row]}}
    result |= {"YuNet by size of the face": {}, "Haar": {}}
    assert detectors.IN_ROUNDS not in detectors.as_markdown(result)
    (ours, search) = detectors.measures_of(result)
    assert (ours.name, ours.value, ours.low, ours.high) == ("a.gif, 1 threads: cv2 / ours", 3.0, 2.0, 6.0)
    assert (search.value, search.better, search.is_ratio) == (6.0, "higher", True)
