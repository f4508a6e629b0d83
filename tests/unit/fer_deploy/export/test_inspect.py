import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from fer_deploy.artifacts import bundled_model, file_sha256
from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.errors import ArtifactError
from fer_deploy.export.inspect import inspect_checkpoint, inspect_onnx
from fer_deploy.spec import SPEC_KEY

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def quantized(name, source, *, scale_type=np.float32):
    """Nodes and weights of a QuantizeLinear and its DequantizeLinear."""
    nodes = [
        helper.make_node("QuantizeLinear", [source, f"{name}_scale", f"{name}_zero"], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_scale", f"{name}_zero"], [f"{name}_dq"]),
    ]
    weights = [
        numpy_helper.from_array(np.array(0.1, dtype=scale_type), f"{name}_scale"),
        numpy_helper.from_array(np.array(0, dtype=np.int8), f"{name}_zero"),
    ]
    return nodes, weights


@pytest.fixture
def save_model(tmp_path):
    def save(nodes, weights, *, input_type=FLOAT, output_type=FLOAT, metadata=None):
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", input_type, ["batch", 2, 8, 8])],
            [helper.make_tensor_value_info("y", output_type, None)],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        helper.set_model_props(model, metadata or {})
        path = tmp_path / "m.onnx"
        onnx.save(model, path)
        return path

    return save


def weight(name, *shape, dtype=np.float32):
    return numpy_helper.from_array(np.ones(shape, dtype=dtype), name)


def precisions(path):
    return {layer["name"]: layer["precision"] for layer in inspect_onnx(path)["layers"]}


class TestPrecision:
    def test_each_kind_in_one_graph(self, save_model):
        activation, scales = quantized("a", "x")
        weights_q, weight_scales = quantized("w", "w_int8")
        nodes = [
            *activation,
            *weights_q,
            helper.make_node("Conv", ["a_dq", "w_dq"], ["c1"], name="int8"),
            helper.make_node("Conv", ["c1", "w2"], ["c2"], name="fp32"),
            helper.make_node("Cast", ["c2"], ["h"], to=HALF),
            helper.make_node("Conv", ["h", "w3"], ["c3"], name="fp16"),
            helper.make_node("Cast", ["w_dq"], ["w_half"], to=HALF),
            helper.make_node("Conv", ["c3", "w_half"], ["y"], name="fp16 with quantized weights only"),
        ]
        weights = [
            *scales,
            *weight_scales,
            weight("w_int8", 2, 2, 1, 1),
            weight("w2", 2, 2, 1, 1),
            weight("w3", 2, 2, 1, 1, dtype=np.float16),
        ]
        path = save_model(nodes, weights, output_type=HALF)
        expected = {"int8": "int8", "fp32": "fp32", "fp16": "fp16", "fp16 with quantized weights only": "fp16"}
        assert precisions(path) == expected
        found = inspect_onnx(path)
        assert found["layers_by_precision"] == {"int8": 1, "fp32": 1, "fp16": 2}
        assert [layer["weight_shape"] for layer in found["layers"]] == [[2, 2, 1, 1]] * 4

    def test_cast_between_dequantize_and_layer(self, save_model):
        """What converting the rest to FP16 leaves around an INT8 layer."""
        activation, scales = quantized("a", "x")
        weights_q, weight_scales = quantized("w", "w0")
        nodes = [
            *activation,
            *weights_q,
            helper.make_node("Cast", ["a_dq"], ["a_h"], to=HALF),
            helper.make_node("Cast", ["w_dq"], ["w_h"], to=HALF),
            helper.make_node("Conv", ["a_h", "w_h"], ["y"], name="layer"),
        ]
        path = save_model(nodes, [*scales, *weight_scales, weight("w0", 2, 2, 1, 1)], output_type=HALF)
        assert precisions(path) == {"layer": "int8"}

    def test_a_quantized_activation_alone_is_not_int8(self, save_model):
        activation, scales = quantized("a", "x")
        nodes = [*activation, helper.make_node("Conv", ["a_dq", "w"], ["y"], name="layer")]
        assert precisions(save_model(nodes, [*scales, weight("w", 2, 2, 1, 1)])) == {"layer": "fp32"}

    def test_product_of_activations(self, save_model):
        nodes = [helper.make_node("MatMul", ["x", "x"], ["y"], name="attention")]
        path = save_model(nodes, [], input_type=HALF, output_type=HALF)
        assert precisions(path) == {"attention": "fp16"}


class TestOnnx:
    def test_bundled_model(self):
        found = inspect_onnx(bundled_model())
        assert found["sha256"] == file_sha256(bundled_model())
        assert found["bytes"] == bundled_model().stat().st_size
        assert found["opsets"]["ai.onnx"] == 20
        assert found["inputs"] == [{"name": "images", "dtype": "uint8", "shape": ["batch", 1, 48, 48]}]
        assert found["outputs"] == [{"name": "logits", "dtype": "float", "shape": ["batch", 8]}]
        assert len(found["spec"]["labels"]) == 8
        assert found["spec"]["architecture"] == "senet"
        assert set(found["layers_by_precision"]) == {"fp16"}
        assert found["operators"]["Conv"] == sum(layer["operator"] == "Conv" for layer in found["layers"])
        assert found["problems"] == []

    def test_without_spec(self, save_model):
        nodes = [helper.make_node("Relu", ["x"], ["y"])]
        found = inspect_onnx(save_model(nodes, [], metadata={"made by": "someone"}))
        assert found["spec"] is None
        assert found["problems"] == ["no ModelSpec inside: labels and input are unknown, and no engine opens it"]
        assert found["metadata"] == {"made by": "someone"}

    def test_with_a_broken_spec(self, save_model):
        nodes = [helper.make_node("Relu", ["x"], ["y"])]
        found = inspect_onnx(save_model(nodes, [], metadata={SPEC_KEY: "{"}))
        assert found["spec"] is None
        assert "its ModelSpec is not one that this version reads" in found["problems"][0]

    def test_external_data_is_told_and_not_read(self, tmp_path):
        """The location points outside of the folder; whatever lies there is not opened."""
        tensor = weight("w", 2, 2)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="m")]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", FLOAT, [1, 2])],
            [helper.make_tensor_value_info("y", FLOAT, [1, 2])],
            [tensor],
        )
        path = tmp_path / "m.onnx"
        path.write_bytes(helper.make_model(graph).SerializeToString())
        found = inspect_onnx(path)
        assert any(text.startswith("1 tensors are in other files, such as w;") for text in found["problems"])

    @pytest.mark.parametrize("content", [b"hello world", b"\x00" * 64, b"PK\x03\x04" * 20, b"{}"])
    def test_foreign(self, tmp_path, content):
        path = tmp_path / "m.onnx"
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"cannot read .*m\.onnx: "):
            inspect_onnx(path)

    def test_truncated(self, tmp_path):
        path = tmp_path / "m.onnx"
        path.write_bytes(bundled_model().read_bytes()[:100_000])
        with pytest.raises(
            ArtifactError, match=r"truncated, or not an ONNX model\. Fix: copy the file again, or export it again"
        ):
            inspect_onnx(path)


class TestCheckpoint:
    def test_release(self, repo_dir):
        path = repo_dir / "weights" / "net.safetensors"
        found = inspect_checkpoint(path)
        assert found["sha256"] == file_sha256(path)
        assert found["spec"]["architecture"] == "net"
        assert found["problems"] == []
        assert found["num_values"] == sum(found["values_by_dtype"].values()) > 4_000_000
        assert "F16" in found["values_by_dtype"]
        assert {"name", "dtype", "shape"} == set(found["tensors"][0])

    def test_plain(self, tmp_path):
        path = tmp_path / "a.safetensors"
        save_file({"w": np.zeros((3, 5), dtype=np.float32), "n": np.array(7)}, path)
        found = inspect_checkpoint(path)
        assert found["values_by_dtype"] == {"F32": 15, "I64": 1}
        assert found["tensors"][1] == {"name": "w", "dtype": "F32", "shape": [3, 5]}
        assert found["problems"] == ["no ModelSpec inside: labels and input are unknown, and no engine opens it"]

    def test_with_spec(self, tmp_path):
        path = tmp_path / "a.safetensors"
        save_file({"w": np.zeros(3)}, path, metadata={SPEC_KEY: FAKE_SPEC.to_json()})
        assert inspect_checkpoint(path)["spec"]["labels"] == ["dark", "bright"]

    @pytest.mark.parametrize("content", [b"hello", b"\xff" * 100, b"\x00" * 64])
    def test_foreign(self, tmp_path, content):
        path = tmp_path / "a.safetensors"
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match="truncated, or not a safetensors file"):
            inspect_checkpoint(path)
