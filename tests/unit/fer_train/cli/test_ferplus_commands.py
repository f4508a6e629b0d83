"""FER+'s labels through the commands that train (train, distill, crossval), and audit."""

import json
import logging
import os
import signal

import numpy as np
import pytest
import torch
import yaml
from unit.fer_train.ferplus_cases import FERPLUS, run, save, spec_of, write_ferplus_files
from unit.fer_train.synthetic_faces import make_votes, tiny_config, write_votes

from fer_deploy.spec import spec_from_json
from fer_train.checkpoint import load_release, load_state
from fer_train.data import take_split
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS
from fer_train.evaluation.evaluate import predict_logits
from fer_train.training.loop import train_step

CPU = torch.device("cpu")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("narrow_net")]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Leave the pictures of a run out: they take longer than the run."""
    monkeypatch.setattr("fer_train.evaluation.plots.plot_history", lambda *_: None)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_ferplus_files(tmp_path_factory.mktemp("data"))


@pytest.fixture
def eight(tmp_path, files):
    config = tiny_config(**FERPLUS)
    return save(tmp_path / "eight.safetensors", FERPLUS_EMOTIONS, config=config, faces=files.faces)


@pytest.fixture
def seven(tmp_path):
    return save(tmp_path / "seven.safetensors", EMOTIONS)


@pytest.fixture
def data(files):
    return files.data


@pytest.fixture
def votes(files):
    return files.votes


@pytest.fixture
def counts(files):
    return files.counts


@pytest.fixture
def faces(files):
    return files.faces


@pytest.fixture
def flags(tmp_path, data):
    def with_config(out="out", **changes):
        path = tmp_path / f"{out}.yaml"
        values = {"num_epochs": 2, "protocol": "official"} | FERPLUS | changes
        path.write_text(yaml.safe_dump(tiny_config(**values).model_dump(mode="json")))
        return ["--config", path, "--data", data, "--out", tmp_path / out, "--no-tensorboard"]

    return with_config


def stopped_at(call):
    """Return `train_step` that Ctrl-C stops at this call; 96 faces make 5 or 6 steps an epoch."""
    numbers = iter(range(1, 100))

    def step(*args, **kwargs):
        if next(numbers) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return train_step(*args, **kwargs)

    return step


def test_training_learns_the_votes_and_is_measured_on_the_majority(tmp_path, flags, votes, counts):
    run("train", *flags(num_epochs=12), "--ferplus", votes)
    spec = spec_of(tmp_path / "out" / "final.safetensors")
    assert (spec["labels"], spec["label_set"]) == (list(FERPLUS_EMOTIONS), "ferplus")
    assert spec["provenance"]["num_faces"] == {"Training": counts["learned"], "PublicTest": counts["PublicTest"]}
    assert len(spec["provenance"]["ferplus_sha256"]) == 64
    assert spec_from_json(json.dumps(spec), where="here").label_set == "ferplus"
    history = load_state(tmp_path / "out" / "last.pt")["history"]
    assert history[-1]["loss"] < history[0]["loss"]


@pytest.mark.slow
def test_resumed_run_ends_with_the_same_weights(tmp_path, flags, votes, monkeypatch):
    run("train", *flags("whole", num_epochs=3), "--ferplus", votes)

    command = [*flags("torn", num_epochs=3), "--ferplus", votes]
    with monkeypatch.context() as patch:
        patch.setattr("fer_train.training.loop.train_step", stopped_at(10))
        run("train", *command, code=130)
    assert load_state(tmp_path / "torn" / "last.pt")["epoch"] == 1
    run("train", *command, "--resume")
    whole, torn = (load_release(tmp_path / name / "final.safetensors")[0].state_dict() for name in ("whole", "torn"))
    assert all(torch.equal(value, torn[name]) for name, value in whole.items())


def test_votes_that_are_missing_are_asked_for(tmp_path, flags):
    result = run("train", *flags(), code=2)
    assert (
        "labels: ferplus learns from the votes of FER+'s taggers, and none were given. Fix: --ferplus" in result.stderr
    )
    assert not (tmp_path / "out").exists()


def test_validation_split_without_votes_is_refused(tmp_path, flags, faces):
    none = np.where((faces.splits == "PublicTest")[:, None], 0, make_votes(faces))
    torn = write_votes(tmp_path / "few.csv", list(faces.splits), none.tolist())
    result = run("train", *flags(), "--ferplus", torn, code=4)
    assert (
        "none of the 42 faces of PublicTest has votes with a majority. Fix: --ferplus with the votes" in result.stderr
    )
    nothing = write_votes(tmp_path / "none.csv", list(faces.splits), np.zeros_like(none).tolist())
    result = run("train", *flags(), "--ferplus", nothing, code=4)
    assert "none of the 96 faces of Training has votes for an emotion" in result.stderr


@pytest.mark.parametrize("protocol", ["official", "clean"])
def test_teachers_alone_need_no_votes(tmp_path, flags, eight, protocol, caplog):
    run("distill", *flags(protocol=protocol), "--teacher", eight, "--teacher-weight", 1)
    spec = spec_of(tmp_path / "out" / "final.safetensors")
    assert (spec["label_set"], len(spec["labels"])) == ("ferplus", 8)
    assert "ferplus_sha256" not in spec["provenance"]
    assert sum(spec["provenance"]["num_faces"].values()) == 138 - (protocol == "clean")
    assert "the two agree" not in caplog.text


def test_teachers_alone_judge_their_student_where_the_data_have_other_labels(tmp_path, flags, faces, eight, caplog):
    caplog.set_level(logging.INFO)
    result = run("distill", *flags(), "--teacher", eight, "--teacher-weight", 1)
    assert "best PublicTest agreement with the teachers " in result.stdout
    assert "no FER+ votes: accuracy, F1 and the best epoch are measured against the teachers' first choices" in (
        caplog.text
    )
    public = take_split(faces, "PublicTest").resized(16)
    teacher, student = (load_release(path)[0] for path in (eight, tmp_path / "out" / "final.safetensors"))
    wanted = predict_logits(teacher, public.images, device=CPU, flip=True).argmax(1)
    agreement = (predict_logits(student, public.images, device=CPU).argmax(1) == wanted).mean()
    assert json.loads((tmp_path / "out" / "history.json").read_text())[-1]["accuracy"] == agreement
    assert not (tmp_path / "out" / "plots").exists(), "the data have no labels of this kind"
    assert agreement != (predict_logits(student, public.images, device=CPU).argmax(1) == public.labels).mean()
    assert spec_of(tmp_path / "out" / "best.safetensors")["provenance"]["validated_against"] == "teachers"


def test_teachers_alone_are_judged_by_the_majority_where_votes_are_given(tmp_path, flags, eight, votes, counts):
    run("distill", *flags(), "--teacher", eight, "--teacher-weight", 1, "--ferplus", votes)
    provenance = spec_of(tmp_path / "out" / "final.safetensors")["provenance"]
    assert provenance["num_faces"]["PublicTest"] == counts["PublicTest"]
    assert len(provenance["ferplus_sha256"]) == 64
    assert "validated_against" not in provenance


def test_seeds_of_students_that_teachers_judge_say_so(tmp_path, flags, eight):
    distillation = {"teachers": [str(eight)], "weight": 1.0}
    result = run("train", *flags(num_epochs=1, distillation=distillation), "--seeds", "0,1")
    assert "agreement with the teachers" in " ".join(result.stdout.split())
    assert json.loads((tmp_path / "out" / "seeds.json").read_text())["against"] == "teachers"


def test_a_release_measures_batch_norm_on_the_rows_of_the_run(tmp_path, flags, eight, data, votes):
    run("distill", *flags(), "--teacher", eight, "--teacher-weight", 1, "--ferplus", votes)
    final, out = tmp_path / "out" / "final.safetensors", tmp_path / "released.safetensors"
    run("release", "--checkpoint", final, "--data", data, "--ferplus", votes, "--recalibrate", "--out", out)
    provenance = spec_of(out)["provenance"]
    assert provenance["recalibrated_on"] == provenance["num_faces"]["Training"]


def test_teachers_with_half_the_weight_need_them(flags, eight):
    assert "--teacher-weight 1" in run("distill", *flags(), "--teacher", eight, "--teacher-weight", 0.5, code=2).stderr


def test_teachers_of_other_labels_are_aligned_and_told(tmp_path, flags, eight, seven, votes, caplog):
    run("distill", *flags(), "--teacher", eight, "--teacher", seven, "--ferplus", votes)
    warning = "predicts FER2013's labels, the student learns FER+ majority: the two agree for 67 % of the faces"
    assert caplog.text.count(warning) == 1
    assert str(seven) in next(record.getMessage() for record in caplog.records if warning in record.getMessage())


def test_eighth_class_that_no_face_of_fer2013_has_is_refused(flags):
    result = run("train", *flags(num_classes=8, labels="fer2013"), code=2)
    assert "num_classes is 8, the data have 7 classes (angry, disgust, fear, happy, sad, surprise, neutral)" in (
        result.stderr
    )
    assert "Fix: num_classes: 7; FER+'s labels have 8: labels: ferplus, with --ferplus" in result.stderr


def test_folds_are_measured_on_the_majority_and_predicted_in_full(tmp_path, flags, votes, counts, data):
    run("crossval", *flags(num_epochs=1), "--ferplus", votes, "--folds", 2)
    summary = json.loads((tmp_path / "out" / "crossval.json").read_text())
    assert sum(row["num_faces"] for row in summary["runs"]) == counts["Training"]
    with np.load(tmp_path / "out" / "out_of_fold.npz") as stored:
        assert stored["probs"].shape == (counts["learned"], 8)
    result = run(
        "audit",
        "--data",
        data,
        "--predictions",
        tmp_path / "out" / "out_of_fold.npz",
        "--out",
        tmp_path / "audit",
        code=4,
    )
    assert "Eight classes mean labels: ferplus, but the audit checks FER2013's labels. Fix: fer-train crossval" in (
        result.stderr
    )
