"""The checker: each fault, put into a model folder that is sound, is found and named."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from unit.fer_deploy.export.triton.triton_plans import write_plan

from fer_deploy.artifacts import bundled_model, file_sha256
from fer_deploy.errors import ExportError
from fer_deploy.export.triton.check import check_model_folder
from fer_deploy.export.triton.config import parse_config
from fer_deploy.export.triton.repository import write_triton_repository
from fer_deploy.manifest import BatchProfile
from fer_deploy.spec import SPEC_KEY

PROFILE = BatchProfile(min=1, opt=8, max=32)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    write_triton_repository([bundled_model(), write_plan(folder / "net-fp16.plan")], folder / "repository")
    return folder / "repository"


@pytest.fixture
def repository(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "repository"))


def edit(model: Path, change) -> None:
    config = parse_config((model / "config.pbtxt").read_text(), where="x")
    change(config)
    (model / "config.pbtxt").write_text(text_format.MessageToString(config))


def fault(model: Path, *, profile=None) -> str:
    with pytest.raises(ExportError, match=rf"the model folder {model.name} is not servable: ") as caught:
        check_model_folder(model, profile=profile)
    return str(caught.value)


def test_sound_ones_pass(sound):
    check_model_folder(sound / "senet-ferplus-fp16-onnx", profile=None)
    check_model_folder(sound / "net-fp16-plan", profile=PROFILE)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: setattr(c, "name", "other"), "name is 'other', the folder's 'senet-ferplus-fp16-onnx'"),
        (lambda c: setattr(c, "backend", "pytorch"), "backend 'pytorch', expected one of onnxruntime, tensorrt"),
        (lambda c: setattr(c, "default_model_filename", "a.onnx"), "the onnxruntime backend expects model.onnx"),
        (lambda c: setattr(c, "max_batch_size", 0), "max_batch_size 0 turns batching off"),
        (lambda c: setattr(c, "max_batch_size", 16), "preferred batch size 32 is outside of 1 to 16"),
        (lambda c: setattr(c.model_warmup[1], "batch_size", 65), "warm-up batch size 65 is outside of 1 to 64"),
        (lambda c: setattr(c.model_warmup[1].inputs["images"], "data_type", 11), "warm-up 'batch of 8' gives"),
        (lambda c: setattr(c.output[0], "label_filename", "l.txt"), "label_filename ['l.txt'], expected labels.txt"),
        (lambda c: c.parameters.pop("fer_artifact_sha256"), "no parameter fer_artifact_sha256"),
        (lambda c: c.parameters.pop(SPEC_KEY), f"no parameter {SPEC_KEY}"),
        (lambda c: setattr(c.parameters[SPEC_KEY], "string_value", "{}"), "its ModelSpec is not one that"),
        (lambda c: setattr(c.parameters["fer_artifact_sha256"], "string_value", "0"), "is not the file whose sha256"),
    ],
)
def test_config(repository, change, text):
    model = repository / "senet-ferplus-fp16-onnx"
    edit(model, change)
    assert text in fault(model)


def test_input_that_is_neither_the_specs_nor_the_graphs(repository):
    model = repository / "senet-ferplus-fp16-onnx"
    edit(model, lambda c: setattr(c.input[0], "name", "faces"))
    message = fault(model)
    assert "input [('faces', 'TYPE_UINT8', [1, 48, 48])], the ModelSpec says [('images'" in message
    assert "the graph's input is [('images', 'TYPE_UINT8', [1, 48, 48])], the config's [('faces'" in message


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: (m / "labels.txt").unlink(), "labels.txt'"),
        (
            lambda m: (m / "labels.txt").write_text("angry\n"),
            "labels.txt has ['angry', ''], expected one line for each",
        ),
        (lambda m: (m / "config.pbtxt").unlink(), "config.pbtxt'"),
        (
            lambda m: (m / "1" / "model.onnx").rename(m / "1" / "net.onnx"),
            "files 1/net.onnx, config.pbtxt, labels.txt;",
        ),
        (lambda m: (m / "1" / "model.onnx.data").touch(), "files 1/model.onnx, 1/model.onnx.data, config.pbtxt"),
        (lambda m: (m / "1" / "model.onnx").write_bytes(b"x"), "is not the file whose sha256 is in the config"),
    ],
)
def test_files(repository, change, text):
    change(repository / "senet-ferplus-fp16-onnx")
    assert text in fault(repository / "senet-ferplus-fp16-onnx")


def test_label_with_a_line_break(repository):
    """Triton would read two labels; the ModelSpec already refuses it."""
    model = repository / "senet-ferplus-fp16-onnx"

    def split_label(config):
        spec = json.loads(config.parameters[SPEC_KEY].string_value)
        spec["labels"][0] = "an\ngry"
        config.parameters[SPEC_KEY].string_value = json.dumps(spec)

    edit(model, split_label)
    (model / "labels.txt").write_text("an\ngry\ndisgust\nfear\nhappy\nsad\nsurprise\nneutral\ncontempt\n")
    assert "a label must have no control character, found 'an\\ngry'" in fault(model)


def _set_batch(graph, value):
    for node in (*graph.input, *graph.output):
        node.type.tensor_type.shape.dim[0].dim_value = value


def _rename_output(graph, name):
    (output,) = graph.output
    (node,) = [node for node in graph.node if output.name in node.output]
    node.output[0] = output.name = name


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda g: _set_batch(g, 4), "the graph's input has its batch frozen at 4"),
        (lambda g: setattr(g.node[0], "op_type", "Nonsense"), "ONNX Runtime cannot load 1/model.onnx"),
        (
            lambda g: _rename_output(g, "scores"),
            "the graph's output is [('scores', 'TYPE_FP32', [8])], the config's [('logits'",
        ),
    ],
)
def test_graph(repository, change, text):
    """The graph itself is read: here it and its digest changed, the ModelSpec did not."""
    model = repository / "senet-ferplus-fp16-onnx"
    path = model / "1" / "model.onnx"
    proto = onnx.load(path)
    change(proto.graph)
    onnx.save(proto, path)
    edit(model, lambda c: setattr(c.parameters["fer_artifact_sha256"], "string_value", file_sha256(path)))
    assert text in fault(model)


def test_plan_and_its_profile(repository):
    model = repository / "net-fp16-plan"
    assert "a plan without its profile" in fault(model)
    smaller = BatchProfile(min=1, opt=8, max=16)
    assert "max_batch_size 32 is more than the plan's profile allows (16)" in fault(model, profile=smaller)


def test_all_faults_in_one_message(repository):
    model = repository / "net-fp16-plan"
    (model / "labels.txt").write_text("")
    edit(model, lambda c: (setattr(c, "name", "other"), setattr(c, "max_batch_size", 64)))
    message = fault(model, profile=PROFILE)
    assert all(text in message for text in ("name is 'other'", "labels.txt has", "more than the plan's profile"))
