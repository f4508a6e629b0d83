import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from unit.fer_deploy.detectors.layered_yunet import layered_yunet
from unit.fer_deploy.detectors.white_yunet import HEADS, STRIDES

from fer_deploy.detectors.yunet import YuNetFinder, open_yunet
from fer_deploy.detectors.yunet_decoding import decode
from fer_deploy.detectors.yunet_heads import merge_heads
from fer_deploy.engines.network import open_network

FIX = "get the right file"


@pytest.fixture
def model():
    return layered_yunet()


@pytest.fixture
def saved(tmp_path):
    def save(model):
        path = tmp_path / "layered.onnx"
        onnx.save(model, path)
        return path

    return save


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(0, 4, (1, 3, 64, 96)).astype(np.float32)


def node_that_makes(model, output):
    return next(node for node in model.graph.node if output in node.output)


def test_the_same_numbers(model, saved, image):
    path = saved(model)
    separate = open_network(path, fix=FIX).run({"input": image})
    merged = open_network(path, fix=FIX, rewrite=merge_heads).run({"input": image})
    assert sorted(merged) == ["head_16", "head_32", "head_8"]
    for stride in STRIDES:
        heads = np.split(merged[f"head_{stride}"], np.cumsum(list(HEADS.values()))[:-1], axis=1)
        for name, head in zip(HEADS, heads, strict=True):
            rows = head.transpose(0, 2, 3, 1).reshape(1, -1, HEADS[name])
            rows = 1 / (1 + np.exp(-rows)) if HEADS[name] == 1 else rows
            np.testing.assert_allclose(rows, separate[f"{name}_{stride}"], atol=1e-5)


@pytest.mark.parametrize("min_score", [0.0, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_faces(saved, image, seed, min_score):
    path = saved(layered_yunet(seed))
    found = [
        decode(network.run({"input": image}), 96, min_score)
        for network in (open_network(path, fix=FIX), open_yunet(path, fix=FIX))
    ]
    assert len(found[0].scores) == len(found[1].scores)
    if min_score in (0.0, 1.0):
        assert (len(found[0].scores) > 0) == (min_score == 0.0)
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_a_finder_takes_both(saved, model):
    path = saved(model)
    picture = np.random.default_rng(2).integers(0, 4, (50, 70, 3)).astype(np.uint8)
    for one, other in zip(
        YuNetFinder(open_network(path, fix=FIX)).find(picture),
        YuNetFinder(open_yunet(path, fix=FIX)).find(picture),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_the_merged_file_is_a_sound_model(model):
    merged = onnx.load_from_string(merge_heads(model.SerializeToString()))
    onnx.checker.check_model(merged)
    assert (merged.ir_version, merged.opset_import[0].version) == (8, 11)
    assert [node.op_type for node in merged.graph.node].count("Conv") == 3 + 2 * 3
    assert onnx.load_from_string(merge_heads(merged.SerializeToString())) == merged


@pytest.mark.shared
def test_the_real_file(shared_dir):
    content = (shared_dir / "models" / "face_detection_yunet_2026may.onnx").read_bytes()
    assert len(onnx.load_from_string(merge_heads(content)).graph.output) == 3


class TestLeftAsItIs:
    def unchanged(self, model):
        content = model.SerializeToString()
        return merge_heads(content) == content

    @pytest.mark.parametrize("content", [b"", b"no model", b"\xff" * 40])
    def test_no_onnx_file(self, content):
        assert merge_heads(content) == content

    def test_heads_of_another_kind(self, white_yunet):
        assert self.unchanged(onnx.load(white_yunet))

    def test_other_features_for_one_head(self, model):
        node_that_makes(model, "kps_16_in").input[0] = "features_8"
        assert self.unchanged(model)

    def test_another_output(self, model):
        model.graph.output.append(helper.make_tensor_value_info("features_8", TensorProto.FLOAT, None))
        assert self.unchanged(model)

    def test_a_head_that_something_else_needs(self, model):
        model.graph.node.append(helper.make_node("Identity", ["bbox_8_map"], ["spare"]))
        assert self.unchanged(model)

    @pytest.mark.parametrize(
        ("output", "name", "value"),
        [
            ("obj_8_map", "strides", [2, 2]),
            ("bbox_32_in", "pads", [1, 1, 1, 1]),
            ("kps_8_last", "perm", [0, 3, 1, 2]),
        ],
    )
    def test_other_attributes(self, model, output, name, value):
        node = node_that_makes(model, output)
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])
        assert self.unchanged(model)

    def test_no_bias(self, model):
        del node_that_makes(model, "cls_8_in").input[2]
        assert self.unchanged(model)

    def test_weights_of_another_type(self, model):
        weight = next(t for t in model.graph.initializer if t.name == "obj_16_in.weight")
        weight.data_type = TensorProto.FLOAT16
        assert self.unchanged(model)

    def test_weights_that_are_short(self, model):
        weight = next(t for t in model.graph.initializer if t.name == "obj_16_in.weight")
        weight.raw_data = weight.raw_data[:-4]
        assert self.unchanged(model)
