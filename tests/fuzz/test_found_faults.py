"""What mutations found, each by itself and with the words of its refusal."""

import json
import os
import struct
import time
from random import Random

import numpy as np
import onnx
import pytest
from fuzz import onnx_arithmetic_bombs, onnx_bombs, seed_files
from onnx import TensorProto, helper

from fer_deploy.artifacts import MAX_MODEL_BYTES
from fer_deploy.cli.inspect import inspect_file
from fer_deploy.engines import open_engine
from fer_deploy.engines.network import open_network
from fer_deploy.engines.onnx_file import trial as onnx_trial
from fer_deploy.engines.onnxruntime import engine as leaf
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.export.checkpoint import load_checkpoint
from fer_deploy.export.graph.source import read_onnx
from fer_deploy.export.inspect import inspect_checkpoint, inspect_onnx
from fer_deploy.manifest import manifest_path, read_manifest
from fer_deploy.spec import SPEC_KEY


@pytest.fixture
def model() -> onnx.ModelProto:
    return seed_files.network()


@pytest.fixture
def save(tmp_path):
    def write(model: onnx.ModelProto | bytes):
        path = tmp_path / "case.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return path

    return write


def refusal(error: type[Exception], call, path) -> str:
    with pytest.raises(error) as caught:
        call(path)
    assert path.name in str(caught.value)
    return str(caught.value)


def cpu(path):
    with open_engine(path, device="cpu") as engine:
        return engine


class Largest(Random):
    """Picks what wants the most."""

    def choice(self, options):
        return options[-1]


class Smallest(Random):
    """Picks what wants the least, which is more than enough."""

    def choice(self, options):
        return options[0]


class FillsMemory(Random):
    """Picks 2^36."""

    def choice(self, options):
        return options[3]


class TestMemory:
    """Before, each of these took what it asked for, until Linux killed the process."""

    @pytest.mark.parametrize(
        "bomb",
        [onnx_bombs.constant_of_shape, onnx_bombs.expand, onnx_bombs.one_hot, onnx_bombs.resize],
    )
    def test_values_larger_than_the_machine(self, save, bomb):
        assert "multiply-adds, most of them in its node" in refusal(ArtifactError, cpu, save(bomb(Largest())))

    @pytest.mark.parametrize("bomb", [onnx_bombs.constant_of_shape, onnx_bombs.expand])
    def test_values_that_fill_the_machine(self, save, bomb):
        """Little arithmetic, and 2^36 values."""
        assert "failed to warm up on" in refusal(EngineError, cpu, save(bomb(FillsMemory())))

    def test_sparse_weight(self, save):
        for seed in range(4):
            path = save(onnx_bombs.sparse_weight(Random(seed)))
            for call in (cpu, read_onnx):
                assert "it has a sparse weight" in refusal(ArtifactError, call, path)

    def test_images_larger_than_the_machine(self, save):
        text = refusal(ArtifactError, cpu, save(onnx_bombs.huge_images(Smallest())))
        assert "input.height: expected at most 4096" in text

    def test_file_larger_than_a_model(self, tmp_path):
        path = tmp_path / "case.onnx"
        with path.open("wb") as file:
            file.truncate(MAX_MODEL_BYTES + 1)  # takes no place on the disk
        words = "has 1,073,741,825 bytes, expected a model of at most 1,073,741,824"
        for call in (cpu, read_onnx, inspect_file):
            assert words in refusal(ArtifactError, call, path)

    def test_spec_of_100_mb(self, save, model):
        helper.set_model_props(model, {SPEC_KEY: '{"labels": "' + "x" * 100_000_000 + '"}'})
        assert "its ModelSpec has 100,000,014 characters, expected at most" in refusal(ArtifactError, cpu, save(model))

    def test_a_million_labels(self, save, model):
        helper.set_model_props(model, {SPEC_KEY: json.dumps(seed_files.SPEC | {"labels": ["x"] * 1_000_000})})
        assert len(refusal(ArtifactError, cpu, save(model))) < 2_000


class TestTime:
    """Before, these ran for hours or for ever."""

    def test_loop(self, save):
        for call in (cpu, read_onnx):
            assert "a node has a graph inside" in refusal(ArtifactError, call, save(onnx_bombs.loop(Random(1))))

    def test_functions_that_call_each_other_twice(self, save):
        path = save(onnx_bombs.functions(Largest()))
        for call in (cpu, read_onnx):
            assert "it defines its own functions" in refusal(ArtifactError, call, path)

    def test_arithmetic_without_end(self, save, monkeypatch):
        monkeypatch.setattr(leaf, "CPU_WARM_UP_LIMIT_S", 0.3)
        started = time.monotonic()
        text = refusal(EngineError, cpu, save(onnx_bombs.products(100)))
        assert "a batch of 1 did not end within 0.3 s" in text
        assert time.monotonic() - started < 60

    @pytest.mark.parametrize("bomb", onnx_arithmetic_bombs.ARITHMETIC)
    def test_one_huge_node(self, save, bomb):
        """ONNX Runtime ends a run between two nodes only: it ran on, deaf to SIGTERM, and some before any run."""
        text = refusal(ArtifactError, cpu, save(bomb()))
        assert "e+1" in text
        assert "multiply-adds, most of them in its node 'huge' (" in text

    @pytest.mark.parametrize("bomb", onnx_arithmetic_bombs.HIDDEN)
    def test_one_huge_node_of_hidden_size(self, save, monkeypatch, bomb):
        """No shape tells of it before it runs; it ran on past its limit."""
        monkeypatch.setattr(onnx_trial, "LIMIT_S", 2.0)
        started = time.monotonic()
        text = refusal(EngineError, cpu, save(bomb()))
        assert "loading it and running it once did not end within 2 s" in text
        assert "tried in another process, which was killed. Fix: export it again with fer-deploy export" in text
        assert time.monotonic() - started < 60

    def test_a_detector_of_hidden_size(self, save, monkeypatch):
        monkeypatch.setattr(onnx_trial, "LIMIT_S", 2.0)
        path = save(onnx_arithmetic_bombs.computed_size_of_constants())
        text = refusal(EngineError, lambda path: open_network(path, fix="another file"), path)
        assert "did not end within 2 s" in text
        assert text.endswith("Fix: another file")

    def test_an_operator_whose_work_is_not_known(self, save):
        text = refusal(ArtifactError, cpu, save(onnx_arithmetic_bombs.einsum()))
        assert "its node 'huge' (Einsum) is of a kind whose work this version cannot bound" in text

    @pytest.mark.parametrize("bomb", [onnx_bombs.scan, onnx_bombs.branches, onnx_bombs.loop])
    def test_arithmetic_in_a_subgraph(self, save, bomb):
        assert "a node has a graph inside" in refusal(ArtifactError, cpu, save(bomb(Random(1))))

    def test_more_nodes_than_an_optimizer_takes(self, save):
        path = save(onnx_bombs.long_arithmetic(Largest()))
        for call in (cpu, read_onnx):
            assert "it has more than 10,000 nodes" in refusal(ArtifactError, call, path)

    @pytest.mark.parametrize("operator", ["Cast", "Transpose", "Identity"])
    def test_inspect_of_a_cycle(self, save, model, operator):
        """It followed a weight back through the nodes in front of it, round and round."""
        (conv,) = [node for node in model.graph.node if node.op_type == "Conv"]
        model.graph.node.append(helper.make_node(operator, ["b"], ["a"]))
        model.graph.node.append(helper.make_node(operator, ["a"], ["b"]))
        conv.input[1] = "a"
        assert [layer["operator"] for layer in inspect_onnx(save(model))["layers"]] == ["Conv", "Gemm"]


class TestExternalData:
    @pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.bin", "link.bin", "fifo"])
    def test_is_never_followed(self, save, model, tmp_path, location):
        """ONNX Runtime reads what lies beside the model, and its older versions what lies anywhere."""
        (tmp_path / "weights.bin").write_bytes(b"\x00" * 4096)
        (tmp_path / "link.bin").symlink_to("/etc/passwd")
        os.mkfifo(tmp_path / "fifo")
        tensor = model.graph.initializer[2]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        assert "its weights are in another file" in refusal(ArtifactError, cpu, save(model))
        assert location in refusal(ArtifactError, read_onnx, save(model))
        assert any("other files" in problem for problem in inspect_onnx(save(model))["problems"])


class TestWhatANetworkGives:
    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_weights_that_are_no_numbers(self, save, model, number):
        (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "fc.bias"]
        bias.raw_data = np.full(3, number, dtype=np.float32).tobytes()
        assert "are not finite, so some weights are NaN or infinite" in refusal(EngineError, cpu, save(model))

    def test_logits_of_one_image_only(self, save, model):
        """The file may declare any batch and give another."""
        model.graph.node[-1].output[0] = "all"
        for name, values in {"first": [0], "second": [1], "axis": [0]}.items():
            model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], values))
        model.graph.node.append(helper.make_node("Slice", ["all", "first", "second", "axis"], ["logits"]))
        text = refusal(EngineError, cpu, save(model))
        assert "a batch of 2 gives logits of shape (1, 3), expected (2, 3)" in text


class TestDamage:
    @pytest.mark.parametrize("old", [b"accuracy", b"fer_model_spec", b"batch"])
    def test_text_that_is_not_utf8(self, save, model, old):
        content = model.SerializeToString()
        path = save(content.replace(old, b"\xff" * len(old)))
        refusal(ArtifactError, cpu, path)

    def test_name_that_is_not_utf8_in_an_error_of_the_runtime(self, save, model):
        model.graph.node[0].op_type = "Unknown_operator"
        path = save(model.SerializeToString().replace(b"Unknown_operator", b"\xff" * 16))
        assert "damaged, or of a newer opset" in refusal(ArtifactError, cpu, path)

    def test_layer_without_inputs_or_outputs(self, save, model):
        (conv,) = [node for node in model.graph.node if node.op_type == "Conv"]
        del conv.input[:], conv.output[:]
        model.graph.node.append(helper.make_node("QLinearConv", ["x"], []))
        assert [layer["weight_shape"] for layer in inspect_onnx(save(model))["layers"]] == [[], [2, 3], []]

    def test_unknown_type_of_an_input(self, save, model):
        model.graph.input[0].type.tensor_type.elem_type = 99
        assert inspect_onnx(save(model))["inputs"][0]["dtype"] == "type 99"
        assert "'type 99'" in refusal(ArtifactError, read_onnx, save(model))

    def test_function_that_calls_itself(self, save, model):
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
        body = [helper.make_node("F", ["a"], ["b"], domain="local")]
        model.functions.append(helper.make_function("local", "F", ["a"], ["b"], body, opsets))
        model.opset_import.add(domain="local", version=1)
        model.graph.node[0].op_type, model.graph.node[0].domain = "F", "local"
        assert "no engine loads it: it defines its own functions" in inspect_onnx(save(model))["problems"][0]

    @pytest.mark.parametrize("length", [0, 2**31, 2**63, 2**64 - 1])
    def test_length_of_a_safetensors_header(self, tmp_path, length):
        path = tmp_path / "case.safetensors"
        path.write_bytes(struct.pack("<Q", length) + seed_files.RELEASE[8:])
        for call in (load_checkpoint, inspect_checkpoint):
            refusal(ArtifactError, call, path)

    def test_refusal_does_not_repeat_a_long_text(self, tmp_path):
        path = tmp_path / "case.safetensors"
        header = json.dumps({"weight": {"dtype": "x" * 200_000, "shape": [1], "data_offsets": [0, 4]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\x00" * 4)
        assert len(refusal(ArtifactError, inspect_checkpoint, path)) < 1_000


class TestManifest:
    @pytest.fixture
    def write(self, tmp_path):
        def write(**changes):
            path = tmp_path / "case.plan"
            path.write_bytes(seed_files.PLAN)
            manifest_path(path).write_text(json.dumps(json.loads(seed_files.MANIFEST) | changes))
            return path

        return write

    @pytest.mark.parametrize("name", ["../net.onnx", "/net.onnx", "", ".", "a/b"])
    def test_source_that_is_no_file_name(self, write, name):
        """`with_name` raised ValueError where the refusal names the command to build it again."""
        assert "source_onnx: Value error" not in refusal(ArtifactError, read_manifest, write(source_onnx=name))

    @pytest.mark.parametrize("version", ["9" * 5_000, "x" * 200_000])
    def test_version_that_is_no_number(self, write, version):
        """Python refuses to make a number of more than 4300 digits, and a refusal printed all of them."""
        text = refusal(ArtifactError, read_manifest, write(version=version))
        assert "version: expected a length of at most 255" in text
        assert len(text) < 1_000
