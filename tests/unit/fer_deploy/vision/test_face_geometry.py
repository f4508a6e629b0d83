import cv2
import numpy as np
import pytest

from fer_deploy.detectors import build_detectors
from fer_deploy.detectors.config import DetectorConfig
from fer_deploy.vision.face_geometry import is_face
from fer_deploy.vision.types import Box, Detection

UPRIGHT = {
    "right_eye": (35, 50),
    "left_eye": (65, 50),
    "nose": (50, 68),
    "right_mouth": (38, 86),
    "left_mouth": (62, 86),
}
"""In a box of 100x130."""


def face(*, scale=1.0, shift=(0.0, 0.0), turn_deg=0.0, **moved) -> Detection:
    points = np.array(list({**UPRIGHT, **moved}.values()), dtype=float)
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = ((points - (50, 65)) @ turn.T + (50, 65)) * scale + shift
    x, y = shift
    box = Box(round(x), round(y), round(x + 100 * scale), round(y + 130 * scale))
    return Detection(box, 0.9, tuple(map(tuple, points.tolist())))


@pytest.mark.parametrize("scale", [0.2, 1, 7])
@pytest.mark.parametrize("turn_deg", [-35, 0, 20, 35])
def test_a_face_at_any_size_place_and_usual_turn(scale, turn_deg):
    assert is_face(face(scale=scale, shift=(300, 40), turn_deg=turn_deg))


def test_half_profile():
    assert is_face(
        face(right_eye=(30, 50), left_eye=(42, 50), nose=(26, 66), right_mouth=(32, 86), left_mouth=(40, 86))
    )


def test_without_landmarks_nothing_is_known():
    assert is_face(Detection(Box(0, 0, 10, 10)))


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param({"right_mouth": (38, 15), "left_mouth": (62, 15)}, id="mouth above the eyes"),
        pytest.param({"right_eye": (65, 50), "left_eye": (35, 50)}, id="eyes exchanged"),
        pytest.param({"nose": (50, 40)}, id="nose above the eyes"),
        pytest.param({"nose": (50, 95)}, id="nose below the mouth"),
        pytest.param({"nose": (0, 68)}, id="nose far aside"),
        pytest.param({"right_eye": (49.5, 50), "left_eye": (50.5, 50)}, id="one eye"),
        pytest.param({"right_eye": (0, 50), "left_eye": (100, 50)}, id="eyes too far apart"),
        pytest.param({"right_mouth": (38, 52), "left_mouth": (62, 52), "nose": (50, 51)}, id="flat"),
        pytest.param({"right_mouth": (5, 86), "left_mouth": (95, 86)}, id="mouth too wide"),
        pytest.param({name: (x + 90, y) for name, (x, y) in UPRIGHT.items()}, id="beside the box"),
        pytest.param(dict.fromkeys(UPRIGHT, (50, 65)), id="all in one point"),
    ],
)
def test_no_face(moved):
    assert not is_face(face(**moved))


@pytest.mark.parametrize("turn_deg", [-90, 90, 180])
def test_turned_too_far(turn_deg):
    assert not is_face(face(turn_deg=turn_deg))


@pytest.mark.parametrize("cut", [0.2, 0.4])
def test_a_box_that_the_edge_of_the_frame_cuts(cut):
    whole = face()
    assert is_face(Detection(Box(round(100 * cut), 0, 100, 130), 0.9, whole.landmarks))


@pytest.fixture(scope="module")
def detector(shared_dir):
    path = shared_dir / "models/face_detection_yunet_2026may.onnx"
    return build_detectors(DetectorConfig(detector="yunet", detector_model=path, min_score=0.2))()


@pytest.mark.shared
def test_all_faces_of_the_clips(detector, shared_dir):
    num = 0
    for path in (shared_dir / "clips").glob("*.gif"):
        capture = cv2.VideoCapture(str(path))
        while (read := capture.read())[0]:
            found = [detection for detection in detector.detect(read[1]) if detection.score > 0.5]
            assert all(map(is_face, found))
            num += len(found)
    assert num > 200


@pytest.mark.shared
def test_what_is_found_in_noise(detector):
    found = []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(0, 1, (360, 480, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), 1)
        picture = np.clip(smooth / smooth.std() * 50 + 128, 0, 255).astype(np.uint8)
        found += detector.detect(picture)
    assert len(found) > 5
    assert not any(map(is_face, found))
