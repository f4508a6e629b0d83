import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv

from fer_train.checkpoint import load_release, read_spec_json, save_release
from fer_train.cli import main
from fer_train.data import read_faces, take_split
from fer_train.evaluation.evaluate import evaluate
from fer_train.models import build_model
from fer_train.spec import describe_model

pytestmark = pytest.mark.usefixtures("narrow_net")
CPU = torch.device("cpu")


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def data(tmp_path):
    """A CSV with 21 faces of PublicTest, one of which also stands in Training."""
    made = make_faces(Training=64, PublicTest=21)
    made.images[5] = made.images[64]
    return write_csv(tmp_path / "fer2013.csv", made)


@pytest.fixture
def runs(tmp_path, data):
    """Checkpoints of three runs on the 61 rows of Training that have no twin and were not excluded."""
    (tmp_path / "bad.csv").write_text("row\n7\n8\n")
    faces = read_faces(data)
    faces = faces.select(~((faces.splits == "Training") & ((faces.rows == 5) | (faces.rows == 7) | (faces.rows == 8))))
    return [save(tmp_path / f"{name}.safetensors", seed, faces) for seed, name in enumerate("abc")]


def save(path, seed, faces):
    torch.manual_seed(seed)
    model = build_model("net", num_classes=7)
    with torch.no_grad():
        model.classifier.weight.mul_(30)  # else every face gets the same answer
    save_release(path, model, describe_model(tiny_config(protocol="clean", seed=seed), faces, {"accuracy": seed / 10}))
    return path


def soup(runs, data, out, *flags, code=0):
    words = [word for path in runs for word in ("--checkpoint", path)]
    return run("soup", *words, "--data", data, "--out", out, "--device", "cpu", *flags, code=code)


def test_soup_is_measured_and_can_be_evaluated_and_released(runs, data, tmp_path):
    out = tmp_path / "soup.safetensors"
    printed = soup(runs, data, out, "--exclude", tmp_path / "bad.csv").stdout
    assert {t.dtype for t in load_file(out).values()} == {torch.float32, torch.int64}
    model, spec = load_release(out)
    faces = read_faces(data)
    plain = evaluate(model, take_split(faces, "PublicTest").resized(16), device=CPU)
    assert spec["metrics"]["PublicTest"]["plain"]["accuracy"] == plain.accuracy
    assert spec["metrics"]["PublicTest"]["plain"]["clean"]["num_faces"] == 20
    assert (
        f"{out}: mean of 3 models; PublicTest, FER2013's labels: accuracy {plain.accuracy:.2%} plain official, "
        in printed
    )
    assert "flatters" not in printed
    assert spec["provenance"]["soup"]["recalibrated_on"] == 61
    assert [row["file"] for row in spec["provenance"]["row_lists"]] == ["bad.csv"]
    evaluated = json.loads(run("evaluate", "--checkpoint", out, "--data", data, "--json", "--device", "cpu").stdout)
    assert evaluated["views"]["plain"]["official"]["accuracy"] == plain.accuracy
    run("release", "--checkpoint", out, "--data", data, "--out", tmp_path / "net.safetensors", "--device", "cpu")
    assert "soup" in json.loads(read_spec_json(tmp_path / "net.safetensors"))["provenance"]
    card = (tmp_path / "net.md").read_text()
    assert "`net-4`: mean of the weights of `a.safetensors` (SHA-256 " in card
    assert "measured again on 61 unaugmented training faces." in card
    assert (
        "fer-train soup --checkpoint runs/net-1/best.safetensors --checkpoint runs/net-2/best.safetensors "
        "--checkpoint runs/net-3/best.safetensors --data fer2013.csv --exclude bad.csv "
        "--out runs/net-4/soup.safetensors"
    ) in card


def test_greedy_choice_is_shown_and_said_to_flatter(runs, data, tmp_path):
    out = tmp_path / "soup.safetensors"
    printed = soup(runs, data, out, "--exclude", tmp_path / "bad.csv", "--greedy").stdout
    told = json.loads(read_spec_json(out))["provenance"]["soup"]
    assert told["chosen_on"] == "PublicTest"
    assert {row["path"] for row in told["ingredients"] + told["left_out"]} == {f"{n}.safetensors" for n in "abc"}
    assert told["ingredients"][0]["accuracy_alone"] == max(
        row["accuracy_alone"] for row in told["ingredients"] + told["left_out"]
    )
    assert "PublicTest, FER2013's labels, 21 faces, plain" in printed
    assert printed.count("kept") == len(told["ingredients"])
    assert printed.count("left out") == len(told["left_out"])
    assert f"mean of {len(told['ingredients'])} models" in printed
    assert "this split chose the ingredients, so that it flatters" in printed


def test_rows_that_the_runs_left_out_are_not_measured_on(runs, data, tmp_path):
    result = soup(runs, data, tmp_path / "soup.safetensors", code=2)
    assert (
        "63 rows of Training are kept, the checkpoints were trained on 61 of the same data. "
        "Fix: the --twin-rows and --exclude that they were trained with"
    ) in result.stderr
    assert not (tmp_path / "soup.safetensors").exists()


def test_a_soup_can_be_started_from_and_averaged_again(runs, data, tmp_path):
    flags = ("--exclude", tmp_path / "bad.csv")
    soup(runs[:2], data, tmp_path / "first.safetensors", *flags)
    soup([tmp_path / "first.safetensors", runs[2]], data, tmp_path / "second.safetensors", *flags)
    first, second = (json.loads(read_spec_json(tmp_path / f"{n}.safetensors")) for n in ("first", "second"))
    assert second["provenance"]["soup"]["ingredients"][0]["provenance"] == first["provenance"]


def test_a_checkpoint_is_never_overwritten(runs, data):
    before = runs[1].read_bytes()
    result = soup(runs, data, runs[1], code=2)
    assert f"--out {runs[1]} is one of the checkpoints. Fix: another file, such as soup.safetensors" in result.stderr
    assert runs[1].read_bytes() == before
