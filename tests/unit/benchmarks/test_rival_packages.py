"""Adapters of packages that are not installed here, with small packages in their places."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from fer_deploy.export.verify.torch_engine import TorchEngine

CHECKPOINT = Path(__file__).parents[3] / "weights" / "senet-ferplus.safetensors"


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

    def test_without_its_weights_they_are_random_and_the_row_says_so(self, package, monkeypatch):
        monkeypatch.setenv("yunet_score_threshold", "0.9")
        module, weight_utils, file = package
        found = module.opened({"detector": "yunet", "yunet": "ours.onnx"})
        assert found.note == "YuNet's file of 2026, score at least 0.7; random weights: speed only"
        assert os.environ[module.SCORE_VARIABLE] == "0.7"
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


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")  # uniface loads nothing else
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
class TestUniface:
    @pytest.fixture
    def package(self, monkeypatch, tmp_path):
        """A package that normalizes and asks its network as uniface does, for a face that fills the frame."""

        class Emotion:
            def __init__(self, model_name):
                self.network = torch.jit.load(emotion.verify_model_weights(model_name))

            def predict(self, image, face):
                real = cv2.resize(image, (112, 112)).astype(np.float32) / 255
                normal = (real - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
                self.logits = self.network(torch.from_numpy(normal.transpose(2, 0, 1))[None]).detach().numpy()
                face.emotion = "Happy"

        class FaceAnalyzer:
            def __init__(self, detector, recognizer, predictors):
                assert recognizer is None
                self.detector, self.predictors = detector, predictors

            def analyze(self, image):
                faces = self.detector.detect(image)
                for face in faces if image.any() else ():  # what fails in a predictor is logged, no more
                    self.predictors[0].predict(image, face)
                return faces

        def fail(model_name):
            raise ConnectionError(model_name)

        emotion = fake("uniface.attribute.emotion", Emotion=Emotion, verify_model_weights=fail)
        modules = {
            "uniface": {"FaceAnalyzer": FaceAnalyzer},
            "uniface.attribute": {"emotion": emotion},
            "uniface.constants": {"EmotionWeights": SimpleNamespace(AFFECNET8=SimpleNamespace(value="affecnet8"))},
            "uniface.draw": {
                "draw_detections": lambda image, faces: None,
                "draw_text_label": lambda *_, bg_color: None,
            },
            "uniface.model_store": {"get_cache_dir": lambda: str(tmp_path)},
            "uniface.types": {"Face": lambda **values: SimpleNamespace(emotion=None, **values)},
        }
        for name, values in modules.items():
            monkeypatch.setitem(sys.modules, name, fake(name, **values))
        monkeypatch.setitem(sys.modules, "uniface.attribute.emotion", emotion)
        monkeypatch.delitem(sys.modules, "others.uniface_package", raising=False)
        module = importlib.import_module("others.uniface_package")
        row = np.float32([1, 2, 30, 40, *range(10), 0.9])
        monkeypatch.setattr(
            module.cv2,
            "FaceDetectorYN",
            SimpleNamespace(
                create=lambda *_: SimpleNamespace(setInputSize=lambda _: None, detect=lambda _: (1, [row]))
            ),
        )
        return module

    def test_our_network_sees_the_grays_of_the_face(self, package, monkeypatch):
        predictors = []
        init = package.emotion.Emotion.__init__
        monkeypatch.setattr(
            package.emotion.Emotion, "__init__", lambda self, **kwargs: predictors.append(self) or init(self, **kwargs)
        )
        loop = package.opened({"yunet": "ours.onnx", "checkpoint": CHECKPOINT})
        assert loop.note == "YuNet's file of 2026; our network as TorchScript in place of its own: speed only"
        gray = np.tile(np.linspace(20, 230, 48, dtype=np.uint8), (48, 1))
        big = cv2.resize(gray, (112, 112), interpolation=cv2.INTER_NEAREST)
        assert loop.step(cv2.merge([big, big, big])) == 1
        nearest = big[np.arange(48) * 112 // 48][:, np.arange(48) * 112 // 48]
        wanted = TorchEngine.open(CHECKPOINT, device="cpu").infer(nearest[None, None])
        np.testing.assert_allclose(predictors[0].logits, wanted, atol=0.05)
        assert np.ptp(wanted) > 1

    def test_a_face_without_an_emotion_ends_the_loop(self, package):
        with pytest.raises(RuntimeError, match="no emotion"):
            package.opened({"yunet": "", "checkpoint": CHECKPOINT}).step(np.zeros((112, 112, 3), np.uint8))

    def test_its_own_network_is_taken_where_it_is_at_hand(self, package, tmp_path):
        path = package.write_script(CHECKPOINT, tmp_path / "affecnet8.script")
        package.emotion.verify_model_weights = lambda _: str(path)
        assert package.opened({"yunet": "", "checkpoint": tmp_path}).note == "YuNet's file of 2026"

    def test_boxes_and_points_of_yunet(self, package):
        face = package.face_of(np.float32([1, 2, 30, 40, *range(10), 0.9]))
        assert face.bbox.tolist() == [1, 2, 31, 42]
        assert face.landmarks.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
        assert face.confidence == pytest.approx(0.9)
