from pathlib import Path

import pytest

from fer_deploy.detectors import DetectorConfig
from fer_deploy.errors import ConfigError
from fer_deploy.settings import load_settings


def test_from_flags():
    flags = {
        "detector": "yunet",
        "detector_model": Path("y.onnx"),
        "roi": "0,0,0.5,1",
        "min_face": 40,
        "max_faces": None,
    }
    config = load_settings(DetectorConfig, None, flags)
    assert (config.detector, config.detector_model, config.roi) == ("yunet", Path("y.onnx"), (0, 0, 0.5, 1))
    assert (config.min_face, config.max_faces, config.min_score) == (40, None, None)


def test_from_yaml(tmp_path):
    path = tmp_path / "live.yaml"
    path.write_text("detector: yunet\ndetector_model: y.onnx\nroi: [0, 10, 300, 200]\nmin_score: 0.7\n")
    config = load_settings(DetectorConfig, path, {})
    assert (config.detector_model, config.roi, config.min_score) == (Path("y.onnx"), (0, 10, 300, 200), 0.7)


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ({"detector": "yolo"}, "'haar' or 'yunet'"),
        ({"roi": "1,2"}, "expected x1,y1,x2,y2"),
        ({"roi": "5,5,2,9"}, "expected 0 <= x1 < x2"),
        ({"roi": [1, "b", 3, 4]}, "roi"),
        ({"min_face": 3}, "expected at least 8"),
        ({"max_faces": 0}, "expected at least 1"),
        ({"detector": "yunet", "min_score": 1.0}, "less than 1"),
        ({"detector": "haar", "min_score": 0.5}, r'min_score \(--min-score\) is about YuNet.*Fix: detector="yunet"'),
        (
            {"detector": "haar", "detector_model": Path("y.onnx")},
            r"detector_model \(--detector-model\) is about YuNet, ",
        ),
    ],
)
def test_refused(flags, wanted):
    with pytest.raises(ConfigError, match=wanted):
        load_settings(DetectorConfig, None, flags)
