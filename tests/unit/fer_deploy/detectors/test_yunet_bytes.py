"""YuNet that takes bytes."""

import numpy as np
import onnx
import pytest
from unit.fer_deploy.detectors.layered_yunet import layered_yunet

from fer_deploy.artifacts import bundled_model
from fer_deploy.detectors.yunet import YuNetFinder, open_yunet
from fer_deploy.detectors.yunet_bytes import taking_bytes
from fer_deploy.detectors.yunet_heads import merge_heads
from fer_deploy.engines.network import open_network
from fer_deploy.errors import ArtifactError

FIX = "get the right file"


@pytest.mark.parametrize("is_merged", [False, True])
def test_the_same_numbers(tmp_path, is_merged):
    content = layered_yunet().SerializeToString()
    content = merge_heads(content) if is_merged else content
    (tmp_path / "floats.onnx").write_bytes(content)
    (tmp_path / "bytes.onnx").write_bytes(taking_bytes(content, where="it", fix=FIX))
    onnx.checker.check_model(onnx.load(tmp_path / "bytes.onnx"))
    floats, in_bytes = (open_network(tmp_path / f"{name}.onnx", fix=FIX) for name in ("floats", "bytes"))
    (name,) = in_bytes.inputs
    assert in_bytes.inputs[name] == floats.inputs[name]._replace(dtype="uint8")
    image = np.random.default_rng(1).integers(0, 256, (1, 3, 64, 96), dtype=np.uint8)
    expected = floats.run({name: image.astype(np.float32)})
    found = in_bytes.run({name: image})
    assert found.keys() == expected.keys()
    for output, values in expected.items():
        np.testing.assert_array_equal(found[output], values)


def test_a_finder_gives_it_bytes(tmp_path, white_yunet, white_square):
    path = tmp_path / "bytes.onnx"
    path.write_bytes(taking_bytes(white_yunet.read_bytes(), where="it", fix=FIX))
    finder = YuNetFinder(open_yunet(path, fix=FIX))
    for x in (24, 40):
        np.testing.assert_allclose(finder.find(white_square((x, 40, 8))).boxes_xyxy, [[x, 40, x + 8, 48]], atol=1e-3)


def test_what_takes_bytes_already(tmp_path):
    with pytest.raises(ArtifactError, match=rf"cannot serve it: expected .* one image of floats. Fix: {FIX}"):
        taking_bytes(bundled_model().read_bytes(), where="it", fix=FIX)
    with pytest.raises(ArtifactError, match="cannot serve it: "):
        taking_bytes(b"no model", where="it", fix=FIX)
