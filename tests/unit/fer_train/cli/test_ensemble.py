import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, write_csv

from fer_train.checkpoint import save_release
from fer_train.cli import main
from fer_train.data import read_faces, take_split
from fer_train.data.faces import EMOTIONS
from fer_train.evaluation.ensemble import Ensemble, choose_weights, log_probs
from fer_train.evaluation.evaluate import measure
from fer_train.models import build_model
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

pytestmark = pytest.mark.usefixtures("narrow_net")
CPU = torch.device("cpu")
SPEC = {
    "architecture": "net",
    "labels": list(EMOTIONS),
    "input": {"height": 16, "width": 16, "mean": PIXEL_MEAN, "std": PIXEL_STD},
}


def run(*args, code=0):
    result = CliRunner().invoke(main, ["ensemble", *(str(arg) for arg in args)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def data(tmp_path):
    return write_csv(tmp_path / "fer2013.csv", make_faces(Training=7, PublicTest=21, PrivateTest=14))


@pytest.fixture
def members(tmp_path):
    """Three releases; the classifiers are steep, so that they differ."""
    paths = []
    for seed, name in enumerate("abc"):
        torch.manual_seed(seed)
        model = build_model("net", num_classes=7)
        with torch.no_grad():
            model.classifier.weight.mul_(30)
        save_release(tmp_path / f"{name}.safetensors", model, SPEC)
        paths.append(tmp_path / f"{name}.safetensors")
    return paths


def flags(members):
    return [word for path in members for word in ("--checkpoint", path)]


def measured(members, data, split, weights, *, flip=False):
    faces = take_split(read_faces(data), split)
    return measure(log_probs(Ensemble.of(members, weights).probs(faces.images, device=CPU, flip=flip)), faces.labels)


def test_chosen_weights_are_written_with_what_was_measured(members, data, tmp_path):
    out = tmp_path / "out" / "ensemble.json"
    printed = json.loads(run(*flags(members), "--data", data, "--out", out, "--flip", "--json").stdout)
    content = json.loads(out.read_text())
    weights = [member["weight"] for member in content["members"]]
    assert content["weights"] == "chosen"
    assert content["measured"] | {"weights": weights} == printed
    assert (printed["split"], printed["num_faces"], printed["weights_chosen_on"]) == ("PublicTest", 21, "flip")
    faces = take_split(read_faces(data), "PublicTest")
    probs = Ensemble.of(members).member_probs(faces.images, device=CPU, flip=True)
    np.testing.assert_allclose(weights, choose_weights(probs, faces.labels))
    for view in ("plain", "flip"):
        for kind, shares in (("equal", [1 / 3] * 3), ("chosen", weights)):
            expected = measured(members, data, "PublicTest", shares, flip=view == "flip")
            row = printed["views"][view][kind]
            assert row == pytest.approx({"accuracy": expected.accuracy, "f1": expected.f1, "loss": expected.loss})
    row = printed["views"]["flip"]
    assert row["chosen"]["loss"] < row["equal"]["loss"]
    assert row["chosen"]["loss"] < row["crossfitted"]["loss"]
    assert [m["path"] for m in row["members"]] == [path.name for path in members]
    assert row["members"][1]["loss"] == pytest.approx(measured(members, data, "PublicTest", [0, 1, 0], flip=True).loss)


def test_both_labels_of_chosen_weights_are_printed(members, data, tmp_path):
    text = run(*flags(members), "--data", data, "--out", tmp_path / "e.json").stdout
    assert "chosen: chosen weights, measured on the faces that chose them: flattering" in text
    assert "crossfitted: chosen weights, cross-fitted: 5 folds, each with weights that the others chose" in text
    assert "a.safetensors" in text
    assert "PublicTest, FER2013's labels, 21 faces, plain" in text
    assert f"wrote {tmp_path / 'e.json'}" in text
    assert set(json.loads((tmp_path / "e.json").read_text())["measured"]["views"]) == {"plain"}


def test_equal_weights_choose_nothing(members, data, tmp_path):
    out = tmp_path / "e.json"
    printed = json.loads(run(*flags(members), "--data", data, "--out", out, "--weighting", "equal", "--json").stdout)
    assert printed["weights"] == pytest.approx([1 / 3] * 3)
    assert printed["notes"] == {"equal": "equal weights"}
    assert printed["weights_chosen_on"] is None
    assert set(printed["views"]["plain"]) == {"members", "equal"}
    assert json.loads(out.read_text())["weights"] == "equal"


def test_a_frozen_ensemble_is_measured_on_another_split_with_its_own_weights(members, data, tmp_path):
    path = tmp_path / "e.json"
    Ensemble.of(members).save(path, np.array([0.6, 0.1, 0.3]), {})
    before = path.read_bytes()
    result = run("--use", path, "--data", data, "--split", "PrivateTest", "--json")
    printed = json.loads(result.stdout)
    expected = measured(members, data, "PrivateTest", [0.6, 0.1, 0.3])
    assert printed["weights"] == [0.6, 0.1, 0.3]
    assert (printed["num_faces"], printed["weights_chosen_on"]) == (14, None)
    assert printed["views"]["plain"]["frozen"]["loss"] == pytest.approx(expected.loss)
    assert set(printed["views"]["plain"]) == {"members", "equal", "frozen"}
    assert "choose nothing by this number" in result.stderr
    assert path.read_bytes() == before
    assert f"{path} as it is" in run("--use", path, "--data", data).stdout


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (
            ["--split", "PrivateTest", "--out", "e.json"],
            2,
            "PrivateTest is for measuring, not for choosing weights. Fix: ",
        ),
        ([], 2, "nowhere to write the ensemble. Fix: --out ensemble.json"),
        (
            ["--use", "e.json"],
            2,
            "--use measures an ensemble as it is. Fix: leave --checkpoint, --weighting and --out out",
        ),
        (["--out", "a.safetensors"], 2, "--out a.safetensors is one of the checkpoints. Fix: another file"),
        (["--split", "Testing", "--out", "e.json"], 4, "has no split 'Testing'"),
    ],
)
def test_contradictions(members, data, tmp_path, monkeypatch, extra, code, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".npz"))
    result = run(*flags(members), "--data", data, *extra, code=code)
    assert result.stderr.startswith(f"error: {message}") or (code == 4 and message in result.stderr)
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".npz")) == before


def test_use_chooses_no_weights(data, tmp_path):
    result = run("--use", tmp_path / "e.json", "--weighting", "chosen", "--data", data, code=2)
    assert "error: --use measures an ensemble as it is" in result.stderr


def test_labels_that_the_members_do_not_know(data, tmp_path):
    paths = [tmp_path / "x.safetensors", tmp_path / "y.safetensors"]
    for path in paths:
        save_release(path, build_model("net", num_classes=3), SPEC | {"labels": ["a", "b", "c"]})
    result = run(*flags(paths), "--data", data, "--out", tmp_path / "e.json", code=4)
    assert "error: PublicTest holds label 6, the members know 3 classes" in result.stderr


def test_weights_are_not_chosen_on_faces_that_a_member_learned(members, data, tmp_path):
    torch.manual_seed(3)
    learned = tmp_path / "learned.safetensors"
    spec = SPEC | {"provenance": {"config": {"train_split": "Training"}}}
    save_release(learned, build_model("net", num_classes=7), spec)
    out = ("--out", tmp_path / "e.json", "--split", "Training")
    result = run(*flags([members[0], learned]), "--data", data, *out, code=2)
    assert f"error: {learned} was trained on Training" in result.stderr
    assert "Fix: --split PublicTest, or --weighting equal" in result.stderr
    run(*flags([members[0], learned]), "--data", data, *out, "--weighting", "equal")
