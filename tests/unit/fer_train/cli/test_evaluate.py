import json

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv

from fer_train.checkpoint import load_release, save_release
from fer_train.cli import main
from fer_train.data import read_faces, take_split
from fer_train.evaluation.evaluate import evaluate
from fer_train.models import build_model
from fer_train.spec import describe_model

pytestmark = pytest.mark.usefixtures("narrow_net")


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def faces():
    """21 faces of PublicTest, two of which also stand in Training, and 14 of PrivateTest."""
    made = make_faces(Training=64, PublicTest=21, PrivateTest=14)
    made.images[5], made.images[6] = made.images[64], made.images[70]
    return made


@pytest.fixture
def data(tmp_path, faces):
    return write_csv(tmp_path / "fer2013.csv", faces)


@pytest.fixture
def best(tmp_path, faces):
    """Untrained weights as a release: nothing here is about how good they are."""
    torch.manual_seed(2)
    path = tmp_path / "best.safetensors"
    save_release(path, build_model("net", num_classes=7), describe_model(tiny_config(), faces, {}))
    return path


def test_json_holds_every_view_and_protocol(best, data):
    printed = json.loads(run("evaluate", "--checkpoint", best, "--data", data, "--json", "--device", "cpu").stdout)
    assert set(printed) == {"checkpoint", "split", "label_set", "why_not_clean", "views", "labels"}
    assert printed["label_set"] == "fer2013"
    without_votes = {"why_not_clean": None, "votes": {}, "second_opinion": None, "views": printed["views"]}
    assert printed["labels"] == {"fer2013": without_votes}
    assert (printed["checkpoint"], printed["split"], printed["why_not_clean"]) == (best.name, "PublicTest", None)
    assert {view: list(by) for view, by in printed["views"].items()} == {
        "plain": ["official", "clean"],
        "flip": ["official", "clean"],
    }
    model, _ = load_release(best)
    public = take_split(read_faces(data), "PublicTest").resized(16)
    for view, flip in (("plain", False), ("flip", True)):
        assert (
            printed["views"][view]["official"]
            == evaluate(model, public, device=torch.device("cpu"), flip=flip).to_dict()
        )
    assert printed["views"]["plain"]["official"]["num_faces"] == 21
    assert printed["views"]["plain"]["clean"]["num_faces"] == 19


def test_table_labels_views_protocols_and_split(best, data):
    lines = run("evaluate", "--checkpoint", best, "--data", data, "--device", "cpu").stdout
    printed = " ".join(lines.split())  # the title is wrapped where the path is long
    for words in (
        "on PublicTest",
        "plain",
        "flip",
        "official",
        "clean",
        "macro F1",
        "ECE",
        "Brier (0 to 2)",
        "by class: PublicTest, FER2013's labels, plain,",
        "surprise",
    ):
        assert words in printed
    assert "official: every face. clean: without the 2 whose pixels also stand in training rows" in printed
    assert "tencrop" not in printed


def test_it_is_told_which_number_to_read(best, data):
    printed = run("evaluate", "--checkpoint", best, "--data", data, "--device", "cpu").stdout
    assert "trained under protocol official: it was trained on the twins" in printed


def test_ten_crop_is_an_option(best, data):
    printed = json.loads(
        run("evaluate", "--checkpoint", best, "--data", data, "--json", "--ten-crop", "--device", "cpu").stdout
    )
    assert list(printed["views"]) == ["plain", "flip", "tencrop"]
    losses = {view: by["official"]["loss"] for view, by in printed["views"].items()}
    assert len(set(losses.values())) == 3


def test_data_without_training_says_that_clean_is_not_measurable(best, tmp_path, faces):
    data = write_csv(tmp_path / "public.csv", faces.select(faces.splits != "Training"))
    result = run("evaluate", "--checkpoint", best, "--data", data, "--device", "cpu")
    assert "clean: not measurable, this copy of the data has no split 'Training' to look for twins in" in result.stdout
    printed = json.loads(run("evaluate", "--checkpoint", best, "--data", data, "--json", "--device", "cpu").stdout)
    assert printed["views"]["plain"]["clean"] is None
    assert printed["why_not_clean"].startswith("this copy of the data has no split 'Training'")


def test_private_test_is_measured_with_a_reminder_on_stderr(best, data):
    args = ("evaluate", "--checkpoint", best, "--data", data, "--device", "cpu", "--json")
    result = run(*args, "--split", "PrivateTest")
    assert json.loads(result.stdout)["split"] == "PrivateTest"
    assert "PrivateTest is for one final measurement of a released model" in result.stderr
    assert "PrivateTest" not in run(*args).stderr


def test_pictures_and_predictions_are_written(best, data, tmp_path):
    run(
        "evaluate",
        "--checkpoint",
        best,
        "--data",
        data,
        "--device",
        "cpu",
        "--confusion",
        tmp_path / "cm.png",
        "--plots",
        tmp_path / "plots",
        "--predictions",
        tmp_path / "out" / "p.npz",
    )
    names = ["PublicTest-confusion.png", "PublicTest-precision-recall.png", "PublicTest-reliability.png"]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == names
    for path in (tmp_path / "cm.png", *(tmp_path / "plots" / name for name in names)):
        assert cv2.imread(str(path)).shape[0] >= 600
    with np.load(tmp_path / "out" / "p.npz") as stored:
        assert stored["rows"].tolist() == list(range(64, 85))
        assert stored["labels"].tolist() == [row % 7 for row in range(64, 85)]
        assert (stored["probs"].shape, stored["probs"].dtype) == ((21, 7), np.float32)
        assert (stored["names"].tolist()[2], str(stored["split"])) == ("fear", "PublicTest")
        predicted = stored["probs"].argmax(axis=1)
    printed = json.loads(run("evaluate", "--checkpoint", best, "--data", data, "--json", "--device", "cpu").stdout)
    accuracy = printed["views"]["plain"]["official"]["accuracy"]
    assert accuracy == pytest.approx((predicted == np.arange(64, 85) % 7).mean())


def test_labels_that_the_checkpoint_does_not_know(tmp_path, faces, data):
    three = make_faces(num_classes=3)
    spec = describe_model(tiny_config(num_classes=3), three, {})
    save_release(tmp_path / "three.safetensors", build_model("net", num_classes=3), spec)
    result = run("evaluate", "--checkpoint", tmp_path / "three.safetensors", "--data", data, "--device", "cpu", code=4)
    assert "PublicTest has label 6, the model has 3 classes, 0 to 2" in result.stderr
    few = write_csv(tmp_path / "few.csv", three)
    result = run("evaluate", "--checkpoint", tmp_path / "three.safetensors", "--data", few, "--device", "cpu")
    assert "class_2" in result.stdout
