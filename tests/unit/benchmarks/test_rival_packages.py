"""Adapters of packages that are not installed here, with small packages in their places."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest


def fake(name, **values):
    module = ModuleType(name)
    vars(module).update(values)
    return module


@pytest.mark.parametrize("is_tflite", [True, False])
def test_fer_gets_faces_as_it_normalizes_them(monkeypatch, is_tflite):
    seen = []

    class FER:
        def __init__(self, use_tflite):
            assert use_tflite == is_tflite

        def _classify_emotions(self, images):
            seen.append(images)
            return np.full((len(images), 7), 1 / 7)

        def _FER__emotion_classifier(self, images):
            return self._classify_emotions(images[..., 0])

    for name, value in (("fer.fer", {"FER": FER}), ("fer.utils", {"draw_annotations": None})):
        monkeypatch.setitem(sys.modules, name, fake(name, **value))
    monkeypatch.setitem(sys.modules, "fer", fake("fer"))
    monkeypatch.delitem(sys.modules, "others.fer_package", raising=False)
    fer_package = importlib.import_module("others.fer_package")

    faces = np.stack([np.zeros((48, 48), np.uint8), np.full((48, 48), 255, np.uint8)])
    assert fer_package.probabilities({"tflite": is_tflite}, faces).shape == (2, 7)
    [images] = seen
    assert images.shape == (2, 64, 64)
    assert (images[0].max(), images[1].min()) == (-1, 1)


class TestDeepface:
    @pytest.fixture
    def package(self, monkeypatch, tmp_path):
        """A package that loads its models as deepface does, and finds a face and the whole frame in every frame."""
        weight_utils = SimpleNamespace(load_model_weights=lambda model, weight_file: f"loaded {weight_file}")
        commons = fake(
            "deepface.commons",
            weight_utils=weight_utils,
            folder_utils=SimpleNamespace(get_deepface_home=lambda: str(tmp_path)),
        )
        region = {"x": 1, "y": 2, "w": 9, "h": 9}
        found = [{"region": region, "face_confidence": sure, "dominant_emotion": "sad"} for sure in (0.9, 0)]
        analyze = SimpleNamespace(analyze=lambda *_, **__: found)
        monkeypatch.setitem(sys.modules, "deepface", fake("deepface", DeepFace=analyze, commons=commons))
        monkeypatch.setitem(sys.modules, "deepface.commons", commons)
        monkeypatch.delitem(sys.modules, "others.deepface_package", raising=False)
        deepface_package = importlib.import_module("others.deepface_package")

        return deepface_package, weight_utils, tmp_path / ".deepface" / "weights" / deepface_package.WEIGHTS

    def test_without_its_weights_they_are_random_and_the_row_says_so(self, package):
        module, weight_utils, file = package
        found = module.opened({"detector": "yunet", "yunet": "ours.onnx"})
        assert found.note == "YuNet's file of 2026; random weights: speed only"
        assert (
            weight_utils.download_weights_if_necessary("face_detection_yunet_2023mar.onnx", "https://x") == "ours.onnx"
        )
        assert weight_utils.load_model_weights(model="random", weight_file=str(file)) == "random"

    def test_with_its_weights_they_are_loaded(self, package):
        module, weight_utils, file = package
        file.parent.mkdir(parents=True)
        file.touch()
        assert module.opened({"detector": "opencv", "yunet": "ours.onnx"}).note == ""
        path = weight_utils.download_weights_if_necessary(file.name, ["https://x"])
        assert weight_utils.load_model_weights(model="random", weight_file=path) == f"loaded {file}"

    def test_a_frame_without_a_face_counts_none(self, package):
        module, *_ = package
        assert module.opened({"detector": "opencv", "yunet": ""}).step(np.zeros((20, 20, 3), np.uint8)) == 1
