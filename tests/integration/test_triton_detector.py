"""YuNet on a real Triton Inference Server: the faces of the file, also after the server was killed."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from live.triton_server import TritonServer

from fer_deploy import Recognizer
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.artifacts import file_sha256
from fer_deploy.cli import main
from fer_deploy.detectors import DetectorConfig, build_detectors, describe_detector, detector_line
from fer_deploy.detectors.yunet_file import ADDRESS
from fer_deploy.engines.network import open_network
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.live.sources.synthetic import SyntheticSource

pytestmark = pytest.mark.slow
NAME = "face_detection_yunet_2026may-onnx"


@pytest.fixture(scope="module")
def yunet(shared_dir):
    return shared_dir / "models" / ADDRESS.rpartition("/")[2]


@pytest.fixture(scope="module")
def server(tritonserver, yunet, tiny_onnx, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    words = ["triton", "--engine", tiny_onnx, "--detector-model", yunet, "--out", folder / "models"]
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1] == f"{folder / 'models' / NAME}: config.pbtxt, 1/model.onnx"
    with TritonServer(tritonserver, folder / "models", folder / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def frames():
    return [frame.frame_bgr for frame, _ in zip(SyntheticSource().frames(), range(5), strict=False)]


def config_of(server) -> DetectorConfig:
    return DetectorConfig(detector="yunet", detector_model=server.address(NAME))


@pytest.mark.shared
def test_the_faces_are_those_of_the_file(server, yunet, frames):
    served = build_detectors(config_of(server))()
    local = build_detectors(DetectorConfig(detector="yunet", detector_model=yunet))()
    for frame in (*frames, frames[0][:97, :131]):  # frames may change their size
        found, expected = served.detect(frame), local.detect(frame)
        assert [one.box for one in found] == [one.box for one in expected]
        np.testing.assert_allclose([one.score for one in found], [one.score for one in expected], atol=1e-4)
    assert expected == [] or found
    assert any(served.detect(frame) for frame in frames)


@pytest.mark.shared
def test_a_server_that_is_killed_is_waited_for(server, frames):
    detector = build_detectors(config_of(server))()
    expected = detector.detect(frames[0])
    server.kill()
    server.start(wait=False)
    assert detector.detect(frames[0]) == expected


@pytest.mark.shared
def test_names(server):
    config = config_of(server)
    assert describe_detector(config) == f"YuNet ({NAME} on Triton)"  # other people may see it: no host
    assert detector_line(config) == f"detector: YuNet ({server.address(NAME)})"


@pytest.mark.shared
def test_an_analysis_may_go_on_with_the_file(server, yunet, tiny_onnx, tmp_path):
    config = AnalyzeConfig(out=tmp_path, detection=config_of(server))
    found = Fingerprint.with_digest("", config, engine=tiny_onnx, detector=config.detection.detector_model)
    assert found.detector == file_sha256(yunet)


@pytest.mark.shared
def test_recognizer_and_command_take_it(server, frames, tiny_onnx, tmp_path):
    served = {"engine": server.address(f"{tiny_onnx.stem}-onnx"), "detector_model": server.address(NAME)}
    with Recognizer(**served, detector="yunet") as recognizer:
        faces = recognizer.analyze(frames[0])
    assert faces
    cv2.imwrite(str(tmp_path / "a.png"), frames[0])
    words = [
        "image",
        tmp_path / "a.png",
        "--json",
        "--engine",
        served["engine"],
        "--detector-model",
        served["detector_model"],
        "--detector",
        "yunet",
    ]
    done = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    boxes = [[face.box.x1, face.box.y1, face.box.x2, face.box.y2] for face in faces]
    assert [face["box_xyxy"] for face in json.loads(done.stdout)["faces"]] == boxes


@pytest.mark.shared
def test_an_emotion_model_is_no_detector(server, tiny_onnx):
    config = DetectorConfig(detector="yunet", detector_model=server.address(f"{tiny_onnx.stem}-onnx"))
    with pytest.raises(ArtifactError, match=r"cannot use triton://\S+ as a YuNet: it is an emotion model"):
        build_detectors(config)


@pytest.mark.shared
def test_a_name_that_the_server_does_not_have(server):
    with pytest.raises(EngineError, match=r"absent cannot be used: .*Fix: check name and version"):
        open_network(DetectorConfig(detector_model=server.address("absent")).detector_model, fix="")
