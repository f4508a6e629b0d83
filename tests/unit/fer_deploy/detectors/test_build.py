from pathlib import Path

import pytest

from fer_deploy.artifacts import bundled_model
from fer_deploy.detectors import DetectorConfig, FaceSearch, build, describe_detector, detector_line
from fer_deploy.detectors.build import build_detectors
from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.live.sources.synthetic import SyntheticSource
from fer_deploy.vision.types import Box


def test_haar():
    new_detector = build_detectors(DetectorConfig(detector="haar"))
    first, second = new_detector(), new_detector()
    assert first is not second
    frame = next(SyntheticSource().frames()).frame_bgr
    left, right = first.detect(frame)
    assert left.box.x1 < right.box.x1
    assert second.detect(frame) == [left, right]


def test_settings_reach_the_search():
    config = DetectorConfig(detector="haar", min_face=60, roi=(0.0, 0.0, 0.5, 1.0), max_faces=1)
    (face,) = build_detectors(config)().detect(next(SyntheticSource().frames()).frame_bgr)
    assert face.box.x2 < 340


class TestAuto:
    @pytest.fixture(autouse=True)
    def no_file(self, monkeypatch, tmp_path):
        monkeypatch.delenv("FER_YUNET", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    @staticmethod
    def has_landmarks(config, frame):
        return [face.landmarks is not None for face in build_detectors(config)().detect(frame)]

    def test_haar_where_there_is_no_file_and_nothing_is_downloaded(self, monkeypatch):
        monkeypatch.setattr(build, "yunet_file", None)
        assert self.has_landmarks(DetectorConfig(), next(SyntheticSource().frames()).frame_bgr) == [False, False]

    def test_yunet_by_its_setting(self, white_yunet, white_square):
        config = DetectorConfig(detector_model=white_yunet)
        assert self.has_landmarks(config, white_square((32, 64, 11))) == [True]

    def test_yunet_by_the_environment(self, white_yunet, white_square, monkeypatch):
        monkeypatch.setenv("FER_YUNET", str(white_yunet))
        assert self.has_landmarks(DetectorConfig(), white_square((32, 64, 11))) == [True]

    def test_a_score_that_haar_has_not_is_warned_of(self, caplog):
        build_detectors(DetectorConfig())
        assert caplog.messages == []
        build_detectors(DetectorConfig(min_score=0.7))
        assert caplog.messages == [
            "min_score 0.7 has no effect: auto found no YuNet, and Haar gives no score. "
            'Fix: detector="yunet" (--detector yunet)'
        ]

    def test_what_it_came_to_is_told(self, white_yunet):
        assert describe_detector(DetectorConfig()) == "Haar"
        assert describe_detector(DetectorConfig(detector_model=white_yunet)) == f"YuNet ({white_yunet.name})"
        assert detector_line(DetectorConfig()) == (
            "detector: Haar, which misses turned and small faces (--detector yunet fetches a better one once, 230 kB)"
        )
        assert detector_line(DetectorConfig(detector_model=white_yunet)) == f"detector: YuNet ({white_yunet})"

    def test_who_asks_for_haar_is_not_advised(self):
        assert detector_line(DetectorConfig(detector="haar")) == "detector: Haar"


class TestYuNet:
    def test_detectors_share_the_network(self, white_yunet, white_square, monkeypatch):
        opened = []
        open_yunet = build.open_yunet
        monkeypatch.setattr(build, "open_yunet", lambda path, **rest: opened.append(rest) or open_yunet(path, **rest))
        new_detector = build_detectors(DetectorConfig(detector="yunet", detector_model=white_yunet), threads=1)
        first, second = new_detector(), new_detector()
        assert first is not second
        for detector in (first, second):
            (face,) = detector.detect(white_square((32, 64, 8)))
            assert (face.box, len(face.landmarks)) == (Box(32, 64, 40, 72), 5)
        assert len(opened) == 1
        assert (opened[0]["device"], opened[0]["threads"]) == ("cpu", 1)

    def test_min_score(self, white_yunet, white_square):
        gray = white_square((32, 64, 8)) // 2
        config = DetectorConfig(detector="yunet", detector_model=white_yunet)
        assert build_detectors(config)().detect(gray) == []
        assert len(build_detectors(config.model_copy(update={"min_score": 0.4}))().detect(gray)) == 1

    def test_model_from_the_environment(self, white_yunet, monkeypatch):
        monkeypatch.setenv("FER_YUNET", str(white_yunet))
        assert isinstance(build_detectors(DetectorConfig(detector="yunet"))(), FaceSearch)

    def test_another_network(self):
        config = DetectorConfig(detector="yunet", detector_model=bundled_model())
        wanted = (
            r"senet-ferplus-fp16\.onnx as a YuNet: it is an emotion model\. Fix: give it as engine \(--engine\); for"
        )
        with pytest.raises(ArtifactError, match=wanted):
            build_detectors(config)

    @pytest.mark.parametrize("is_named", [True, False])
    def test_a_damaged_file(self, white_yunet, tmp_path, monkeypatch, is_named):
        path = tmp_path / "half.onnx"
        path.write_bytes(white_yunet.read_bytes()[:-9])
        monkeypatch.setenv("FER_YUNET", str(path))
        config = DetectorConfig(detector="yunet", detector_model=path if is_named else None)
        way = (
            r"leave detector_model \(--detector-model\) out, or give it"
            if is_named
            else "unset FER_YUNET, or set it to"
        )
        with pytest.raises(
            ArtifactError, match=rf"cannot load {path}: .*Fix: {way} YuNet's file in place of {path}: h"
        ):
            build_detectors(config)

    def test_no_file(self):
        config = DetectorConfig(detector="yunet", detector_model=Path("nowhere.onnx"))
        with pytest.raises(
            ArtifactError,
            match=r"no model at nowhere\.onnx\. Fix: leave detector_model \(--detector-model\) out, or give",
        ):
            build_detectors(config)


def test_a_name_is_no_config():
    with pytest.raises(ConfigError, match=r'config is str, .*Fix: DetectorConfig\(detector="yunet"\)'):
        build_detectors("yunet")
