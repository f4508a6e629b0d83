"""Covered faces: where, how, and whether a detector still finds any."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.drawing.anonymize import anonymized, with_margin
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import Sink
from fer_deploy.live.sources import open_source
from fer_deploy.vision.types import Box

METHODS = ("blur", "pixelate", "box")
FIRST, SECOND = "face-demographics-walking-and-pause.gif", "head-pose-face-detection-female-and-male.gif"


def with_noise(result):
    """Return the result with noise as its frame: every covered pixel differs from before, nearly."""
    height, width = result.frame.frame_bgr.shape[:2]
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return replace(result, frame=replace(result.frame, frame_bgr=noise))


@pytest.mark.parametrize("method", METHODS)
def test_faces_and_hidden_places_are_covered_with_a_margin(make_result, method):
    result = replace(with_noise(make_result(boxes=((60, 80, 100, 120),), size=(300, 300))), hidden=(Box(0, 0, 40, 40),))
    before = result.frame.frame_bgr.copy()
    found = anonymized(result, method).frame.frame_bgr
    np.testing.assert_array_equal(result.frame.frame_bgr, before)
    changed = (found != before).any(axis=2)
    assert changed[70:130, 50:110].mean() > 0.95
    assert changed[:50, :50].mean() > 0.95
    changed[70:130, 50:110] = changed[:50, :50] = False
    assert not changed.any()
    assert not found.flags.writeable
    assert found[70:130, 50:110].std() < before.std() / 2, "what is left has little detail"


def test_a_box_keeps_nothing(make_result):
    result = with_noise(make_result(boxes=((60, 80, 100, 120),), size=(300, 300)))
    assert (anonymized(result, "box").frame.frame_bgr[70:130, 50:110] == 64).all()


def test_nothing_to_cover(make_result):
    result = make_result()
    assert anonymized(result, None) is result
    nobody = make_result(boxes=())
    assert anonymized(nobody, "blur") is nobody
    bare = result.without_pixels()
    assert anonymized(bare, "blur") is bare


def test_a_margin_stays_in_the_frame():
    assert with_margin(Box(2, 90, 42, 98), (50, 100)) == Box(0, 88, 50, 100)


class Pictures(Sink):
    """Keeps what videos and windows get, and what the page gets."""

    needs_picture = True

    def __init__(self):
        self.pictures, self.frames, self.num_hidden = [], [], 0

    def write(self, result, picture):
        self.pictures.append(picture)
        self.frames.append(result.frame.frame_bgr)
        self.num_hidden += len(result.hidden)
        return True


@pytest.mark.shared
class TestRealClips:
    """YuNet finds no face in any output, also in frames that the loop did not search."""

    @pytest.fixture
    def model(self, shared_dir):
        return shared_dir / "models" / "face_detection_yunet_2026may.onnx"

    def run(self, clip, model, **config):
        detectors = build_detectors(DetectorConfig(detector="yunet", detector_model=model))
        sink = Pictures()
        LivePipeline(open_source(str(clip)), detectors, FakeEngine(), [sink], config=PipelineConfig(**config)).run()
        return sink

    def num_found(self, pictures, model):
        height, width = pictures[0].shape[:2]
        detector = cv2.FaceDetectorYN.create(str(model), "", (width, height), 0.5)
        found = [detector.detect(np.ascontiguousarray(picture))[1] for picture in pictures]
        return sum(0 if faces is None else len(faces) for faces in found)

    def test_without_a_cover_there_are_faces(self, shared_dir, model):
        sink = self.run(shared_dir / "clips" / FIRST, model)
        assert self.num_found(sink.frames[::8], model) >= 12

    @pytest.mark.parametrize(
        ("clip", "method", "every"),
        [(FIRST, "blur", 1), (FIRST, "box", 4), (SECOND, "blur", 4), (SECOND, "pixelate", 1)],
    )
    def test_no_face_is_found(self, shared_dir, model, clip, method, every):
        sink = self.run(shared_dir / "clips" / clip, model, anonymize=method, detect_every=every, max_frames=14)
        assert len(sink.frames) == 14
        assert self.num_found(sink.frames, model) == 0
        assert self.num_found(sink.pictures, model) == 0
