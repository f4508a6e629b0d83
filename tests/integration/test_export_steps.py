"""quantize and verify alone: what they write, and what they refuse."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from integration.export_models import patterns, write_faces
from onnx import numpy_helper

from fer_deploy.cli import main
from fer_deploy.engines import open_engine
from fer_deploy.spec import Precision


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("data") / "fer2013.csv", {"Training": 64, "PublicTest": 84})


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def quantize(onnx_path, out, variant, *flags):
    return run("quantize", "--onnx", onnx_path, "--variant", variant, "--out", out, *flags)


@pytest.mark.parametrize("variant", ["fp16", "int8", "int8-cpu"])
def test_each_variant_is_written_and_verifies(small_onnx, small_release, small_network, data, tmp_path, variant):
    out = tmp_path / f"small-{variant}.onnx"
    slices = () if variant == "fp16" else ("--slice-faces", 0)  # blurred stripes are nothing to this network
    flags = ("--data", data, "--calibration-faces", 48, "--max-accuracy-drop", 3, *slices)
    done = quantize(small_onnx, out, variant, *flags)
    assert done.exit_code == 0, done.output
    assert f"{out}: accuracy" in done.stdout
    with open_engine(out, device="cpu") as engine:
        assert engine.spec.precision is Precision(variant.removesuffix("-cpu"))
        own = engine.spec.metrics["artifact"]
    assert (own["num_faces"], own["faces"]) == (84, "PublicTest of fer2013.csv, FER2013's labels")
    assert "ONNX Runtime" in own["reference"]
    assert f"accuracy {100 * own['accuracy']:.2f} %" in done.stdout
    checked = run(
        "verify", "--engine", out, "--checkpoint", small_release, "--data", data, "--max-accuracy-drop", 3, *slices
    )
    assert checked.exit_code == 0, checked.output
    assert "on 84 faces" in checked.stdout
    lines = [line.split(":")[0].strip() for line in checked.stdout.splitlines()[1:]]
    assert lines == ([] if slices else ["clean", "dim", "blurred", "dim-soft", "small", "turned", "noise"])


def test_verify_as_json(small_onnx, small_release, small_network, tmp_path):
    done = run("verify", "--engine", small_onnx, "--checkpoint", small_release, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["stage"], found["breaches"], found["scores"]) == ("onnx", [], None)
    assert found["num_faces"] == 162


def test_another_model_of_the_same_kind_breaks_the_limits(small_onnx, small_release, small_network, tmp_path):
    model = onnx.load(small_onnx)
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "model.classifier.bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.arange(7, dtype=np.float32), bias.name))
    onnx.save(model, tmp_path / "other.onnx")
    done = run("verify", "--engine", tmp_path / "other.onnx", "--checkpoint", small_release)
    assert done.exit_code == 6
    assert "other.onnx (stage onnx) differs from PyTorch" in done.stderr
    assert "abs_logit" in done.stderr


def test_another_checkpoint_with_the_same_labels_and_input(small_onnx, tiny_release):
    done = run("verify", "--engine", small_onnx, "--checkpoint", tiny_release)
    assert done.exit_code == 6
    assert "same emotion" in done.stderr


def test_quantize_refuses_what_is_quantized(tiny_export, tmp_path):
    (half,) = [path for path in tiny_export.models if path.name.endswith("fp16.onnx")]
    done = quantize(half, tmp_path / "x.onnx", "fp16")
    assert done.exit_code == 2
    assert "Fix: start from the fp32 file" in done.stderr
    assert not (tmp_path / "x.onnx").exists()


def test_int8_without_faces(small_onnx, tmp_path):
    done = quantize(small_onnx, tmp_path / "x.onnx", "int8-cpu")
    assert done.exit_code == 2
    assert "Fix: --data fer2013.csv" in done.stderr


def test_a_broken_limit_writes_nothing(small_onnx, data, tmp_path):
    config = tmp_path / "export.yaml"
    config.write_text("limits: {fp16: {max_abs_logit: 1.0e-9}}\n")
    (tmp_path / "x.onnx").write_bytes(b"old")
    done = quantize(small_onnx, tmp_path / "x.onnx", "fp16", "--config", config, "--data", data)
    assert done.exit_code == 6
    assert "abs_logit" in done.stderr
    assert (tmp_path / "x.onnx").read_bytes() == b"old"


def test_graph_for_tensorrt_keeps_its_meaning_on_the_cpu(small_onnx, data, tmp_path, caplog):
    out = tmp_path / "small-int8.onnx"
    done = quantize(
        small_onnx, out, "int8", "--data", data, "--calibration-faces", 48, "--max-accuracy-drop", 3, "--slice-faces", 0
    )
    assert done.exit_code == 0, done.output
    images = patterns(40, seed=9)[0][:, None]
    with open_engine(out, device="cpu") as engine, open_engine(small_onnx, device="cpu") as reference:
        assert engine.settings["graph_optimization"] == "ORT_DISABLE_ALL"
        assert np.abs(engine.infer(images) - reference.infer(images)).max() < 1.0
    assert "open small-int8-cpu.onnx instead" in caplog.text
