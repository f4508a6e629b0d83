"""Odd checkpoints of users."""

import json
from pathlib import Path

import pytest
import torch
from cases.data_cases import FACES, data_of, run, train
from click.testing import CliRunner
from safetensors.torch import save_file
from unit.fer_train.synthetic_faces import tiny_config

from fer_deploy.errors import ArtifactError
from fer_deploy.export.checkpoint import load_checkpoint
from fer_train.checkpoint import SPEC_KEY, load_release, save_release
from fer_train.cli import main
from fer_train.data.faces import EMOTIONS
from fer_train.errors import CheckpointError
from fer_train.models import build_model
from fer_train.spec import describe_model

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.fixture
def model():
    torch.manual_seed(4)
    net = build_model("net", num_classes=7)
    with torch.no_grad():
        net.classifier.weight.mul_(500)
    return net.eval()


def release_of(path: Path, model, **changes) -> Path:
    spec = describe_model(tiny_config(), FACES, {}) | changes
    save_release(path, model, {name: value for name, value in spec.items() if value is not None})
    return path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["classifier.bias", "features.0.1.running_var", "features.3.1.running_mean"])
def test_values_that_are_not_finite_are_refused_everywhere(tmp_path, model, name, value):
    good = release_of(tmp_path / "good.safetensors", model)
    model.state_dict()[name][0] = value
    bad = release_of(tmp_path / "bad.safetensors", model)
    data = data_of(tmp_path / "data", FACES)
    both = ["--checkpoint", good, "--checkpoint", bad, "--data", data]
    commands = [
        ["evaluate", "--checkpoint", bad, "--data", data],
        ["evaluate", "--checkpoint", bad, "--data", data, "--json"],
        ["release", "--checkpoint", bad, "--data", data, "--out", tmp_path / "r.safetensors"],
        ["soup", *both, "--out", tmp_path / "s.safetensors"],
        ["ensemble", *both, "--out", tmp_path / "e.json"],
    ]
    for command in commands:
        assert f"{bad}: {name} holds 1 of " in run(*command, code=4)
    assert f"{name} holds 1 of " in train(tmp_path, data, "--init", bad, code=4)
    with pytest.raises(ArtifactError, match="values that are not finite"):
        load_checkpoint(bad)
    assert not list(tmp_path.glob("[rse].*"))


def test_weights_too_large_to_compute_with(tmp_path, model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1e30)
    path = release_of(tmp_path / "huge.safetensors", model)
    message = run("evaluate", "--checkpoint", path, "--data", data_of(tmp_path / "d", FACES), "--json", code=4)
    assert "logits that are not finite for 14 of 14 faces: its weights are too large" in message


ORDER = [6, 3, 0, 5, 1, 2, 4]


def permuted(model):
    with torch.no_grad():
        for part in (model.classifier.weight, model.classifier.bias):
            part.copy_(part[ORDER].clone())
    return model


def test_labels_in_another_order_go_by_name(tmp_path, model):
    plain = release_of(tmp_path / "plain.safetensors", model)
    turned = release_of(tmp_path / "turned.safetensors", permuted(model), labels=[EMOTIONS[i] for i in ORDER])
    one, other = load_release(plain), load_release(turned)
    assert other[1]["labels"] == list(EMOTIONS)
    assert all(torch.equal(value, other[0].state_dict()[name]) for name, value in one[0].state_dict().items())
    checkpoint = load_checkpoint(turned)
    deployed, spec = checkpoint.model, checkpoint.spec
    assert list(spec.labels) == list(EMOTIONS)
    assert torch.equal(deployed.classifier.bias, one[0].classifier.bias)


def test_labels_in_another_order_are_measured_as_if_they_were_not(tmp_path, model):
    data = data_of(tmp_path / "data", FACES)
    plain = release_of(tmp_path / "plain.safetensors", model)
    turned = release_of(tmp_path / "turned.safetensors", permuted(model), labels=[EMOTIONS[i] for i in ORDER])
    printed = []
    for path in (plain, turned):
        result = CliRunner().invoke(main, ["evaluate", "--checkpoint", str(path), "--data", str(data), "--json"])
        printed.append(json.loads(result.stdout)["views"])
        out = tmp_path / f"{path.stem}-fp16.safetensors"
        run("release", "--checkpoint", path, "--data", data, "--out", out)
    assert printed[0] == printed[1]
    first, second = (load_release(tmp_path / f"{name}-fp16.safetensors")[1] for name in ("plain", "turned"))
    assert (first["metrics"], first["labels"]) == (second["metrics"], second["labels"])


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        ("x" * 5_000_000, "characters, expected at most 1,000,000"),
        ("x" * 7, "labels: expected a list"),
        ([f"label {i}" for i in range(10_001)], "labels: expected a length of at most 10000"),
        (["a" * 201, *EMOTIONS[1:]], "labels: label 0 is 'aaa"),
        (["angry", *EMOTIONS[:6]], "labels: the label 'angry' occurs twice"),
        (["Unsure", *EMOTIONS[:6]], "labels: a label must not be called 'Unsure'"),
        ([1, *EMOTIONS[1:]], "labels.0: expected text"),
        (["", *EMOTIONS[1:]], "labels: label 0 is ''"),
        (["a\x1b[2J", *EMOTIONS[1:]], "expected 1 to 200 printable characters"),
        (EMOTIONS[:6], r"classifier.weight has the shape (7, 8), expected (6, 8)"),
        (["only"], "labels: expected a length of at least 2"),
    ],
)
def test_labels_that_no_model_can_have(tmp_path, model, monkeypatch, labels, seen):
    path = release_of(tmp_path / "m.safetensors", model, labels=labels)
    if labels != EMOTIONS[:6]:
        monkeypatch.setattr("fer_train.checkpoint.build_model", lambda *_, **__: pytest.fail("a model was built"))
    with pytest.raises(CheckpointError) as caught:
        load_release(path)
    assert seen in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda t: t | {"classifier.bias": t["classifier.bias"].to(torch.int8)}, "is of type I8, expected F16 or BF16"),
        (lambda t: t | {"classifier.bias": t["classifier.bias"].double() * 1e300 * 1e9}, "values that are not finite"),
        (lambda t: t | {"classifier.bias": torch.zeros(7, 1)}, "has the shape (7, 1), expected (7,)"),
        (lambda t: t | {"more": torch.zeros(2)}, "1 tensors are foreign: more"),
        (lambda t: {n: v for n, v in t.items() if n != "classifier.bias"}, "1 tensors are missing: classifier.bias"),
        (lambda t: t | {"features.0.1.running_var": -torch.ones(4)}, "running_var holds a variance below 0: -1"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, model, change, seen):
    spec = describe_model(tiny_config(), FACES, {})
    with torch.no_grad():
        model.classifier.bias.fill_(1.0)
    path = tmp_path / "m.safetensors"
    save_file(change(model.state_dict()), path, metadata={SPEC_KEY: json.dumps(spec)})
    with pytest.raises(CheckpointError) as caught:
        load_release(path)
    assert seen in str(caught.value)


def test_eight_labels_with_contempt_are_as_good_as_seven(tmp_path):
    eight = build_model("net", num_classes=8)
    path = release_of(tmp_path / "eight.safetensors", eight, labels=["contempt", *EMOTIONS], label_set="ferplus")
    assert load_release(path)[1]["labels"] == [*EMOTIONS, "contempt"]


@pytest.mark.parametrize("name", ["resnet18.pth", "weights.pt", "model.bin", "old.pth"])
def test_file_of_torch_save_that_is_no_checkpoint(tmp_path, model, name):
    path = tmp_path / name
    torch.save({"state_dict": model.state_dict()}, path, _use_new_zipfile_serialization=name != "old.pth")
    data = data_of(tmp_path / "data", FACES)
    for message in (
        run("evaluate", "--checkpoint", path, "--data", data, code=4),
        train(tmp_path, data, "--init", path, code=4),
    ):
        assert f"{path} is a torch.save file that fer-train did not write. Fix: a .safetensors file" in message
        assert f"pretrained: {path}" in message
