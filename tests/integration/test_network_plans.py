"""A face detector's plan from ONNX to the live loop, with TensorRT for RTX's own parser and builder and no GPU."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from unit.fer_deploy.detectors.white_yunet import white_square_graph, with_fixed_size

from fer_deploy.artifacts import file_sha256
from fer_deploy.cli import main
from fer_deploy.errors import ArtifactError, ConfigError, ExportError
from fer_deploy.export.plan.build import build_network_plan, build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import read_network_manifest

SIZES = ("1x3x32x32", "1x3x96x128", "1x3x480x640")


def shapes(name: str = "input", least: str = SIZES[0], usual: str = SIZES[1], most: str = SIZES[2]) -> dict:
    texts = {"min": least, "opt": usual, "max": most}
    return {name: {key: tuple(map(int, text.split("x"))) for key, text in texts.items()}}


def config(**changes) -> BuildConfig:
    values = {"flavor": Flavor.TENSORRT_RTX, "compute_capabilities": ("8.6",), "input_shapes": shapes()}
    return BuildConfig.model_validate(values | changes)


def yunet_model(opset: int = 11) -> onnx.ModelProto:
    """The predictable YuNet, as old as the real one."""
    return helper.make_model(white_square_graph(), opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def fer_deploy(*args: object) -> subprocess.CompletedProcess[str]:
    """Run the command line with CUDA_VISIBLE_DEVICES empty, so that a machine with a GPU says the same."""
    return subprocess.run(
        [sys.executable, "-c", "from fer_deploy.cli import main; main()", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    """Built as a user builds it; what the build printed lies beside it."""
    folder = tmp_path_factory.mktemp("yunet")
    onnx.save(yunet_model(), folder / "yunet.onnx")
    args = ["build", "--onnx", folder / "yunet.onnx", "--out", folder / "yunet.plan", "--flavor", "tensorrt-rtx"]
    args += ["--compute-capability", "8.6", "--input-shapes", "input", *SIZES]
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    (folder / "printed.txt").write_text(result.stdout)
    return folder / "yunet.plan"


class TestCli:
    def test_prints_what_was_built(self, plan):
        lines = plan.with_name("printed.txt").read_text().splitlines()
        assert "input input: float32 1x3x32x32 to 1x3x480x640, best at 1x3x96x128" in lines
        assert re.search(
            r"^precision fp32: convolutions (\d+) of \1 Float \(asked: plan\)$", "\n".join(lines), re.MULTILINE
        )

    def test_manifest(self, plan):
        manifest = read_network_manifest(plan)
        network = manifest.network
        assert (manifest.plan_sha256, manifest.plan_bytes) == (file_sha256(plan), plan.stat().st_size)
        assert manifest.source_onnx_sha256 == file_sha256(plan.with_suffix(".onnx"))
        assert (manifest.target.compute_capabilities, manifest.target.os) == (("8.6",), "any")
        assert (network.precision, network.inputs["input"].shape) == ("fp32", (1, 3, None, None))
        assert {name: wanted.shape for name, wanted in network.outputs.items() if name.endswith("_16")} == {
            "cls_16": (1, None, 1),
            "obj_16": (1, None, 1),
            "bbox_16": (1, None, 4),
            "kps_16": (1, None, 10),
        }

    def test_inspect(self, plan):
        found = json.loads(fer_deploy("inspect", plan, "--json").stdout)
        assert found["is_the_built_file"] is True
        assert found["network"]["inputs"]["input"]["max"] == [1, 3, 480, 640]
        assert "or give --detector-model an .onnx" in found["problems"][0]

    @pytest.mark.parametrize("flags", [["--detector", "yunet"], []])
    def test_live_says_that_there_is_no_gpu(self, plan, flags):
        done = fer_deploy(
            "live", "--source", "synthetic", "--no-display", "--max-frames", 2, "--detector-model", plan, *flags
        )
        assert (done.returncode, done.stdout) == (7, "")
        assert f"error: cannot load {plan}: built for sm_86; this machine has no NVIDIA GPU.\n    Fix: " in done.stderr
        assert "cudaSetDevice failed: cudaError" in done.stderr
        assert "Traceback" not in done.stderr

    def test_as_an_engine(self, plan):
        done = fer_deploy("live", "--source", "synthetic", "--no-display", "--max-frames", 2, "--engine", plan)
        assert done.returncode == 4
        assert f"{plan} is not an emotion model" in done.stderr
        assert "Fix: a face detector is given as --detector-model" in done.stderr

    def test_without_the_flag(self, plan, tmp_path):
        done = fer_deploy(
            "build", "--onnx", plan.with_suffix(".onnx"), "--out", tmp_path / "a.plan", "--flavor", "tensorrt-rtx"
        )
        assert done.returncode == 4
        assert "is built with fer-deploy build --input-shapes" in done.stderr

    def test_a_shape_that_is_none(self, plan, tmp_path):
        done = fer_deploy(
            "build",
            "--onnx",
            plan.with_suffix(".onnx"),
            "--out",
            tmp_path / "a.plan",
            "--input-shapes",
            "input",
            "32",
            "48x",
            "64",
        )
        assert done.returncode == 2
        assert "'48x' is not a shape; expected for example 1x3x288x480" in done.stderr


def test_the_real_yunet(shared_dir, tmp_path):
    path = shared_dir / "models" / "face_detection_yunet_2026may.onnx"
    manifest = build_network_plan(path, tmp_path / "yunet.plan", config())
    assert manifest == read_network_manifest(tmp_path / "yunet.plan")
    assert (manifest.network.precision, manifest.precision_proof.convolutions) == ("fp32", {"Float": 53})
    assert len(manifest.network.outputs) == 12


def test_a_network_in_half_of_fixed_size(tiny_models, tmp_path, save_model):
    """Images in uint8, the batch free; precision is what the graph has."""
    model = onnx.ModelProto.FromString(tiny_models["fp16"].SerializeToString())
    del model.metadata_props[:]
    wanted = config(input_shapes=shapes("images", "1x1x48x48", "1x1x48x48", "2x1x48x48"))
    network = build_network_plan(save_model(model), tmp_path / "a.plan", wanted).network
    assert (network.precision, network.inputs["images"].dtype) == ("fp16", "uint8")


class TestRefusals:
    """Every refusal names cause and mend, and writes nothing."""

    @pytest.fixture(autouse=True)
    def _nothing_written(self, tmp_path):
        yield
        assert not list(tmp_path.glob("*.plan*"))

    def refusal(self, error, path, wanted=None, build=build_network_plan) -> str:
        with pytest.raises(error) as caught:
            build(path, path.with_name("a.plan"), wanted or config())
        assert "Fix: " in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize("opset", [10, 23])
    def test_opset(self, save_model, opset):
        assert f"its opset is {opset}, expected 11 to 22" in self.refusal(ArtifactError, save_model(yunet_model(opset)))

    def test_foreign_domain(self, save_model):
        model = yunet_model()
        model.graph.node[0].domain = "com.acme"
        assert "of the domain 'com.acme'" in self.refusal(ArtifactError, save_model(model))

    def test_a_loop(self, save_model):
        model = yunet_model()
        model.graph.node.append(helper.make_node("Loop", ["", ""], ["x"], body=helper.make_graph([], "g", [], [])))
        assert "a loop or branch" in self.refusal(ArtifactError, save_model(model))

    def test_a_function(self, save_model):
        model = yunet_model()
        model.functions.add(name="f", domain="d")
        assert "it defines its own functions" in self.refusal(ArtifactError, save_model(model))

    def test_weights_in_another_file(self, save_model):
        model = yunet_model()
        tensor = model.graph.initializer.add(name="weight", dims=[4], data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        assert "points to another file ('/etc/passwd')" in self.refusal(ArtifactError, save_model(model))

    def test_an_emotion_model(self, tiny_models, save_model):
        text = self.refusal(ArtifactError, save_model(tiny_models["fp32"]))
        assert "it has a ModelSpec. Fix: leave --input-shapes out; --profile sets its batch sizes" in text

    def test_built_as_an_emotion_model(self, tiny_models, save_model, tmp_path):
        path = save_model(tiny_models["fp32"])
        assert "input_shapes: " in self.refusal(ConfigError, path, build=build_plan)

    @pytest.mark.parametrize("wanted", [{}, shapes("image"), shapes("input") | shapes("other")])
    def test_other_names(self, save_model, wanted):
        text = self.refusal(ConfigError, save_model(yunet_model()), config(input_shapes=wanted))
        assert "tiny.onnx has the inputs input (1x3xNxN). Fix: --input-shapes NAME MIN OPT MAX" in text

    @pytest.mark.parametrize("largest", ["2x3x480x640", "1x3x480x640x1", "1x4x480x640"])
    def test_shapes_that_the_graph_does_not_take(self, save_model, largest):
        low = "1x3x32x32x1" if largest.count("x") == 4 else "1x3x32x32"
        wanted = config(input_shapes=shapes("input", low, low, largest))
        text = self.refusal(ConfigError, save_model(yunet_model()), wanted)
        assert "input of tiny.onnx is 1x3xNxN, where N is free; " in text

    def test_another_size_than_a_fixed_one(self, save_model):
        text = self.refusal(ConfigError, save_model(with_fixed_size(yunet_model(), 64)))
        assert "input of tiny.onnx is 1x3x64x64, where N is free; 1x3x32x32 does not fit" in text

    def test_an_output_without_a_shape(self, save_model):
        model = yunet_model()
        model.graph.output[0].type.tensor_type.ClearField("shape")
        assert "its graph has an output 'cls_8' without a shape" in self.refusal(ArtifactError, save_model(model))

    def test_tensors_that_no_plan_takes(self, save_model):
        model = yunet_model()
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING
        assert "plans do not support its tensors (" in self.refusal(ArtifactError, save_model(model))

    def test_an_operator_that_tensorrt_lacks(self, save_model):
        model = yunet_model()
        model.graph.node[0].op_type = "Det"
        text = self.refusal(ExportError, save_model(model))
        assert "cannot parse tiny.onnx: " in text
        assert "Fix: another ONNX file of this network, or run the .onnx as it is" in text

    def test_nothing_to_prove(self, save_model):
        value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "n"]) for name in ("x", "y")]
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
        wanted = config(input_shapes=shapes("x", "1x1", "1x2", "1x3"))
        assert "has the convolutions none; to prove" in self.refusal(ExportError, save_model(model), wanted)
