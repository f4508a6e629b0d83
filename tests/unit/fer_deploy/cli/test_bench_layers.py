"""fer-deploy bench FILE --layers: what it prints and what it refuses."""

import json

import onnx
import pytest
from click.testing import CliRunner
from integration import plan_models

from fer_deploy.cli import main


@pytest.fixture
def model(tmp_path):
    onnx.save(plan_models.fp32_model(), tmp_path / "tiny-fp32.onnx")
    return tmp_path / "tiny-fp32.onnx"


def bench(*words):
    return CliRunner().invoke(main, ["bench", *map(str, words)])


def test_layers_and_operators_are_listed(model):
    done = bench(model, "--layers", "--threads", 1)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tiny-fp32.onnx with ONNX Runtime ")
    layers, operators = lines.index("slowest layers"), lines.index("by operator")
    assert len(lines[layers + 1 : operators - 1]) >= plan_models.NUM_CONVOLUTIONS
    assert any("5 layers" in line and "Conv" in line for line in lines[operators:])


def test_all_numbers_as_json(model):
    found = json.loads(bench(model, "--layers", "--threads", 1, "--json").stdout)
    assert (found["format"], found["file"], found["batch"]) == ("fer-layers-1", "tiny-fp32.onnx", 1)
    assert sum(layer["share"] for layer in found["layers"]) == pytest.approx(1)


def test_a_folder_is_refused(model):
    done = bench(model.parent, "--layers")
    assert done.exit_code == 2
    assert f"--layers takes one model, and {model.parent} is a folder. Fix: the path of an .onnx" in done.stderr


def test_flags_of_the_ranking_are_refused(model):
    done = bench(model, "--layers", "--goal", "size")
    assert done.exit_code == 2
    assert "--goal does not go with --layers. Fix: leave one of them out" in done.stderr
