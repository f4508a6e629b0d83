"""YuNet as a model of a repository."""

import onnx
import pytest
from google.protobuf.text_format import MessageToString
from onnx import helper
from unit.fer_deploy.detectors.layered_yunet import layered_yunet
from unit.fer_deploy.detectors.white_yunet import white_square_graph

from fer_deploy.artifacts import bundled_model, file_sha256
from fer_deploy.engines.network import open_network
from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.export.triton.config import parse_config
from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import write_triton_repository

ONNX = bundled_model()


@pytest.fixture
def yunet(tmp_path):
    onnx.save(layered_yunet(), tmp_path / "yunet.onnx")
    return tmp_path / "yunet.onnx"


def test_beside_an_emotion_model(tmp_path, yunet):
    out = tmp_path / "models"
    emotion, detector = write_triton_repository([ONNX], out, detector=yunet, settings=TritonSettings(device="cpu"))
    assert (emotion.name, detector.name) == ("senet-ferplus-fp16-onnx", "yunet-onnx")
    files = sorted(path.relative_to(detector).as_posix() for path in detector.rglob("*.*"))
    assert files == ["1/model.onnx", "config.pbtxt"]
    config = parse_config((detector / "config.pbtxt").read_text(), where="x")
    assert (config.name, config.backend, config.max_batch_size) == ("yunet-onnx", "onnxruntime", 0)
    assert not config.HasField("dynamic_batching")  # frames differ in size
    (image,) = config.input
    assert (image.data_type, list(image.dims)) == (
        image.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name["TYPE_UINT8"].number,
        [1, 3, -1, -1],
    )
    graph = open_network(detector / "1" / "model.onnx", fix="")
    assert [tensor.name for tensor in config.output] == list(graph.outputs) == ["head_8", "head_16", "head_32"]
    assert {tuple(tensor.dims) for tensor in config.output} == {(1, 16, -1, -1)}
    assert [list(sample.inputs[image.name].dims) for sample in config.model_warmup] == [[1, 3, 288, 480]]
    assert config.parameters["fer_artifact_sha256"].string_value == file_sha256(yunet)
    assert "KIND_CPU" in MessageToString(config)


def test_alone_and_again(tmp_path, yunet):
    """Our own folder is replaced; heads that cannot be merged are served as they are."""
    write_triton_repository([], tmp_path / "models", detector=yunet)
    onnx.save(helper.make_model(white_square_graph(), opset_imports=[helper.make_opsetid("", 11)], ir_version=8), yunet)
    (folder,) = write_triton_repository([], tmp_path / "models", detector=yunet, settings=TritonSettings(warmup="off"))
    config = parse_config((folder / "config.pbtxt").read_text(), where="x")
    assert len(config.output) == 12
    assert not config.model_warmup


def test_an_emotion_model_is_none(tmp_path):
    with pytest.raises(ArtifactError, match=r"cannot serve .*fp16\.onnx: .* one image of floats. Fix: YuNet's \.onnx"):
        write_triton_repository([], tmp_path / "models", detector=ONNX)
    assert not (tmp_path / "models").exists()


def test_a_plan_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"cannot serve yunet\.plan: expected \.onnx"):
        write_triton_repository([], tmp_path / "models", detector=tmp_path.joinpath("yunet.plan").relative_to(tmp_path))


def test_two_of_one_name(tmp_path, yunet):
    other = tmp_path / "other" / "yunet.onnx"
    other.parent.mkdir()
    other.write_bytes(ONNX.read_bytes())
    with pytest.raises(ConfigError, match=r"would be the model yunet-onnx, as another file would. Fix: rename it"):
        write_triton_repository([other], tmp_path / "models", detector=yunet)
