"""What differs between two artifacts: nothing is missed, and equal files are said to be the same."""

import json
import shutil

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from integration import plan_models
from onnx import numpy_helper

from fer_deploy.cli import main
from fer_deploy.export.differences import differences, is_same, named_differences
from fer_deploy.export.int8.scales import scales_of
from fer_deploy.export.plan.build import build_plan


def inspect(*words):
    return CliRunner().invoke(main, ["inspect", *map(str, words)])


def compared(one, other):
    done = inspect(one, other, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == (0 if found["is_same"] else 1), done.output
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the paths of the tiny network in three precisions."""
    folder = tmp_path_factory.mktemp("models")
    fp32 = plan_models.fp32_model()
    made = {"fp32": fp32, "fp16": plan_models.fp16_model(fp32), "int8": plan_models.int8_model(fp32, folder)}
    for name, model in made.items():
        onnx.save(model, folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in made}


def test_a_copy_is_the_same(models, tmp_path):
    copy = shutil.copy(models["fp32"], tmp_path / "copy.onnx")
    done = inspect(models["fp32"], copy)
    assert (done.exit_code, done.stdout) == (0, f"{models['fp32']} and {copy} are the same\n")
    assert compared(models["fp32"], copy)["is_same"]


def test_fp32_and_int8(models):
    found = compared(models["fp32"], models["int8"])
    assert found["fields"]["spec.precision"] == ["fp32", "int8"]
    assert found["operators"]["QuantizeLinear"][0] is None
    assert found["layers"]["changed"]["node_stem"]["precision"] == ["fp32", "int8"]
    assert {"stem.weight_quantized", "scaled"} <= set(found["scales"]["added"])
    shown = inspect(models["fp32"], models["int8"]).stdout
    assert "QuantizeLinear" in shown
    assert "5 layers changed" in shown
    assert f"{len(found['scales']['added'])} scales only in B: " in shown


def test_one_weight_and_one_scale(models, tmp_path):
    model = onnx.load(models["int8"])
    (node,) = [n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "stem_relu"]
    by_name = {tensor.name: tensor for tensor in model.graph.initializer}
    scale = by_name[node.input[1]]
    scale.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(scale), scale.name))
    bias = by_name["classifier.bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
    onnx.save(model, tmp_path / "other.onnx")
    found = compared(models["int8"], tmp_path / "other.onnx")
    (low, high), (other_low, other_high) = found["scales"]["changed"]["stem_relu"]["range"]
    assert (other_low, other_high) == pytest.approx((2 * low, 2 * high))
    assert list(found["scales"]["changed"]) == ["stem_relu"]
    assert list(found["weights"]["changed"]) == ["classifier.bias"]
    assert found["weights"]["changed"]["classifier.bias"]["norm"] == [0.0, pytest.approx(3**0.5)]
    assert found["layers"] == {"added": [], "removed": [], "changed": {}}
    assert found["operators"] == {}


def test_two_plans_by_their_manifests(models, tmp_path):
    plans = tmp_path / "a.plan", tmp_path / "b.plan"
    for plan, model in zip(plans, ("fp32", "fp16"), strict=True):
        build_plan(models[model], plan, plan_models.RTX)
    fields = compared(*plans)["fields"]
    assert fields["manifest.source_onnx"] == ["fp32.onnx", "fp16.onnx"]
    assert fields["spec.precision"] == ["fp32", "fp16"]
    assert fields["manifest.precision_proof.convolutions.Float"] == [plan_models.NUM_CONVOLUTIONS, None]
    assert "manifest.flavor" not in fields


def test_a_file_that_is_missing_is_no_difference(models, tmp_path):
    done = inspect(models["fp32"], tmp_path / "absent.onnx")
    assert done.exit_code == 4
    assert "no model at" in done.stderr


def test_records_in_json_are_compared_by_field():
    one = {"metadata": {"fer_quantization": '{"seed": 0, "method": "max"}'}, "spec": {"labels": ["a"], "extra": {}}}
    other = {"metadata": {"fer_quantization": '{"seed": 1, "method": "max"}'}, "spec": {"labels": ["a", "b"]}}
    assert differences(one, other)["fields"] == {
        "metadata.fer_quantization.seed": [0, 1],
        "spec.labels": [["a"], ["a", "b"]],
        "spec.extra": [{}, None],
    }
    assert is_same(differences(one, one))


def test_names_that_occur_twice_are_told_apart():
    rows = [{"name": "relu", "size": 1}, {"name": "relu", "size": 2}]
    changed = [{"name": "relu", "size": 1}, {"name": "relu", "size": 3}]
    assert named_differences(rows, changed) == {"added": [], "removed": [], "changed": {"relu'": {"size": [2, 3]}}}
    assert named_differences(rows, rows[:1])["removed"] == ["relu'"]


def test_scales_of_activations_and_weights(models):
    found = scales_of(onnx.load(models["int8"]))
    assert found["stem.weight_quantized"].is_weight
    assert found["stem.weight_quantized"].scale.shape == (32,)
    relu = found["stem_relu"]
    assert (relu.is_weight, relu.dtype, relu.scale.shape) == (False, "int8", (1,))
    assert relu.range() == pytest.approx((-128 * relu.scale[0], 127 * relu.scale[0]))
    assert scales_of(onnx.load(models["fp32"])) == {}
    assert np.array_equal(relu.zero_point, [0])
