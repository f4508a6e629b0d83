"""FER+'s labels through the commands that measure: evaluate, release, soup and ensemble."""

import json
import logging

import cv2
import numpy as np
import pytest
import torch
from unit.fer_train.ferplus_cases import FERPLUS, evaluate, run, save, spec_of, write_ferplus_files
from unit.fer_train.synthetic_faces import make_faces, make_votes, tiny_config, write_csv, write_votes

from fer_deploy.spec import spec_from_json
from fer_train.checkpoint import load_release, save_release
from fer_train.data import read_faces
from fer_train.data.consensus import majority_labels
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS

pytestmark = pytest.mark.usefixtures("narrow_net")


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


def test_both_label_sets_are_measured_with_votes_and_the_models_own_comes_first(eight, seven, data, votes, counts):
    for path, own, other in ((eight, "ferplus", "fer2013"), (seven, "fer2013", "ferplus")):
        printed = json.loads(evaluate(path, data, "--ferplus", votes, "--json").stdout)
        assert (printed["label_set"], list(printed["labels"])) == (own, [own, other])
        assert printed["views"] == printed["labels"][own]["views"]
        plain = {name: labels["views"]["plain"]["official"] for name, labels in printed["labels"].items()}
        assert plain["ferplus"]["num_faces"] == counts["PublicTest"]
        assert plain["fer2013"]["num_faces"] == 42
        assert list(plain["ferplus"]["per_class"]) == list(FERPLUS_EMOTIONS)
        assert list(plain["fer2013"]["per_class"]) == list(EMOTIONS)
        assert plain["ferplus"]["per_class"]["contempt"]["support"] > 0
        fit = printed["labels"]["ferplus"]["votes"]["plain"]
        assert set(fit) == {"num_faces", "kl", "agreement", "best_agreement"}
        assert 0 < fit["agreement"] < fit["best_agreement"] <= 1
        assert fit["kl"] > 0


def test_accuracy_is_that_of_the_answers_by_name(eight, data, votes, tmp_path):
    evaluate(eight, data, "--ferplus", votes, "--labels", "ferplus", "--predictions", tmp_path / "p.npz")
    printed = json.loads(evaluate(eight, data, "--ferplus", votes, "--labels", "ferplus", "--json").stdout)
    assert list(printed["labels"]) == ["ferplus"]
    labels = majority_labels(read_faces(data, ferplus=votes).votes)
    with np.load(tmp_path / "p.npz") as stored:
        np.testing.assert_array_equal(stored["labels"], labels[stored["rows"]])
        right = (stored["probs"].argmax(axis=1) == stored["labels"]).mean()
    assert printed["views"]["plain"]["official"]["accuracy"] == pytest.approx(right)


def test_one_label_set_can_be_asked_for(eight, seven, data, votes):
    printed = json.loads(evaluate(eight, data, "--ferplus", votes, "--labels", "fer2013", "--json").stdout)
    assert list(printed["labels"]) == ["fer2013"]
    assert list(printed["views"]["plain"]["official"]["per_class"]) == list(EMOTIONS)
    table = evaluate(seven, data, "--ferplus", votes, "--labels", "ferplus").stdout
    assert "FER+ majority" in table
    assert "FER2013's labels" not in table
    assert "KL to the model" in table


def test_permuted_columns_of_a_model_are_read_by_name(tmp_path, data, votes):
    known = save(tmp_path / "known.safetensors", EMOTIONS)
    model, spec = load_release(known)
    order = [6, 0, 5, 3, 1, 4, 2]
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight[order])
        model.classifier.bias.copy_(model.classifier.bias[order])
    save_release(tmp_path / "other.safetensors", model, spec | {"labels": [EMOTIONS[i] for i in order]})
    found = [
        json.loads(evaluate(tmp_path / f"{name}.safetensors", data, "--ferplus", votes, "--json").stdout)
        for name in ("known", "other")
    ]
    for label_set in ("fer2013", "ferplus"):
        first, second = (one["labels"][label_set]["views"]["plain"]["official"] for one in found)
        assert first["confusion"] == second["confusion"]
        assert first["loss"] == pytest.approx(second["loss"], rel=1e-5)


def test_labels_without_votes(eight, data, caplog):
    result = evaluate(eight, data, "--labels", "ferplus", code=2)
    assert "--labels ferplus needs the taggers' votes. Fix: --ferplus fer2013new.csv" in result.stderr
    printed = json.loads(evaluate(eight, data, "--json").stdout)
    assert list(printed["labels"]) == ["fer2013"]
    assert "this model answers as FER+'s taggers do; measured against FER2013's labels" in caplog.text
    assert "which agree with them for 67 % of the faces that have a majority" in caplog.text


def test_votes_without_a_majority(seven, data, faces, tmp_path):
    torn = write_votes(tmp_path / "torn.csv", list(faces.splits), [[1] * 10] * len(faces))
    result = evaluate(seven, data, "--ferplus", torn, "--labels", "ferplus", code=4)
    assert "FER+'s votes give no face of PublicTest a majority" in result.stderr


def test_absent_split_is_named(eight, data, votes):
    result = evaluate(eight, data, "--ferplus", votes, "--split", "PrivateTest", code=4)
    assert "no split 'PrivateTest'" in result.stderr


def test_classes_of_the_users_own_have_no_votes(tmp_path):
    two = make_faces(num_classes=2, Training=96, PublicTest=42)
    votes = write_votes(tmp_path / "fer2013new.csv", list(two.splits), make_votes(two).tolist())
    data = write_csv(tmp_path / "two.csv", two)
    path = save(tmp_path / "two.safetensors", ["class_0", "class_1"])
    printed = json.loads(evaluate(path, data, "--ferplus", votes, "--json").stdout)
    assert list(printed["labels"]) == ["fer2013"]
    assert "labels of the data" in evaluate(path, data).stdout
    result = evaluate(path, data, "--ferplus", votes, "--labels", "ferplus", code=4)
    assert "the model has class_0, class_1; FER+'s taggers chose among angry, disgust" in result.stderr


def test_unknown_label_set_is_a_usage_error(eight, data, caplog):
    caplog.set_level(logging.WARNING)
    assert "'fer2013', 'ferplus'" in evaluate(eight, data, "--labels", "affectnet", code=2).stderr


def test_release_of_a_model_of_ferplus(tmp_path, eight, data, votes, counts):
    out = tmp_path / "weights" / "net-ferplus.safetensors"
    command = ["release", "--checkpoint", eight, "--data", data, "--out", out, "--device", "cpu"]
    assert (
        f"{eight} answers as FER+'s taggers do and is measured against them. Fix: --ferplus"
        in run(*command, code=2).stderr
    )
    result = run(*command, "--ferplus", votes)
    assert "PublicTest, FER+ majority: accuracy " in result.stdout
    spec = spec_of(out)
    provenance = spec["provenance"]
    assert spec["metrics"]["PublicTest"]["plain"]["num_faces"] == counts["PublicTest"]
    assert provenance["other_labels"]["PublicTest"]["label_set"] == "fer2013"
    assert provenance["other_labels"]["PublicTest"]["num_faces"] == 42
    assert provenance["calibration"]["against"] == "ferplus"
    assert provenance["calibration"]["nll_after"] <= provenance["calibration"]["nll_before"]
    assert spec["temperature"] == pytest.approx(provenance["calibration"]["temperature"], abs=1e-4)
    assert 0 <= spec["unsure_below"] <= 1
    parsed = spec_from_json(json.dumps(spec), where="here")
    assert (parsed.label_set, parsed.temperature) == ("ferplus", spec["temperature"])
    picture = cv2.imread(str(out.with_name("net-ferplus-degraded.png")))
    assert picture.shape[0] >= 600
    card = out.with_suffix(".md").read_text()
    for words in (
        "# net-ferplus: emotions of faces, FER+'s votes",
        "## Measures, against FER+ majority",
        "Against FER2013's labels: PublicTest, plain, official, 42 faces",
        "## Confidence",
        "against the share of taggers who chose each class",
        "## Degraded faces",
        "](net-ferplus-degraded.png)",
        "--data fer2013.csv --ferplus fer2013new.csv",
    ):
        assert words in card


def test_measures_of_a_release_are_of_the_scaled_logits(tmp_path, eight, data, votes):
    out = tmp_path / "net.safetensors"
    run("release", "--checkpoint", eight, "--data", data, "--out", out, "--device", "cpu", "--ferplus", votes, "--fp32")
    released, before = (json.loads(evaluate(path, data, "--ferplus", votes, "--json").stdout) for path in (out, eight))
    assert spec_of(out)["temperature"] > 1.5  # the classifier was made steep
    plain = [one["views"]["plain"]["official"] for one in (released, before)]
    assert plain[0]["confusion"] == plain[1]["confusion"]
    assert plain[0]["loss"] < plain[1]["loss"]
    assert plain[0]["loss"] == pytest.approx(spec_of(out)["metrics"]["PublicTest"]["plain"]["loss"])


def test_release_of_a_model_that_lacks_a_label_of_the_data(tmp_path, data):
    path = save(tmp_path / "three.safetensors", ["class_0", "class_1", "class_2"])
    out = tmp_path / "out.safetensors"
    result = run("release", "--checkpoint", path, "--data", data, "--out", out, "--device", "cpu", code=4)
    assert "PublicTest has label 6, the model has 3 classes" in result.stderr


def test_release_with_votes_that_name_nothing(tmp_path, eight, data, faces):
    nothing = write_votes(tmp_path / "none.csv", list(faces.splits), [[0] * 10] * len(faces))
    result = run(
        "release",
        "--checkpoint",
        eight,
        "--data",
        data,
        "--out",
        tmp_path / "o.safetensors",
        "--ferplus",
        nothing,
        "--device",
        "cpu",
        code=4,
    )
    assert "FER+'s votes name no emotion for any face of PublicTest" in result.stderr


def test_release_of_a_model_of_fer2013_tells_the_majority_too_where_votes_are_given(
    tmp_path, seven, data, votes, counts
):
    out = tmp_path / "net.safetensors"
    run("release", "--checkpoint", seven, "--data", data, "--out", out, "--device", "cpu", "--ferplus", votes)
    spec = spec_of(out)
    assert spec["metrics"]["PublicTest"]["plain"]["num_faces"] == 42
    assert spec["provenance"]["calibration"]["against"] == "fer2013"
    assert spec["provenance"]["other_labels"]["PublicTest"]["num_faces"] == counts["PublicTest"]
    assert "Against FER+ majority: PublicTest" in out.with_suffix(".md").read_text()


@pytest.mark.parametrize("greedy", [(), ("--greedy",)])
def test_soup_is_measured_against_its_own_labels(tmp_path, data, votes, counts, greedy):
    faces = read_faces(data, ferplus=votes)
    paths = [
        save(tmp_path / f"{name}.safetensors", FERPLUS_EMOTIONS, seed=seed, config=tiny_config(**FERPLUS), faces=faces)
        for seed, name in enumerate("ab")
    ]
    words = ["soup", "--checkpoint", paths[0], "--checkpoint", paths[1], "--data", data, "--device", "cpu", *greedy]
    out = tmp_path / "soup.safetensors"
    assert "is measured against them. Fix: --ferplus" in run(*words, "--out", out, code=2).stderr
    printed = run(*words, "--out", out, "--ferplus", votes).stdout
    assert "PublicTest, FER+ majority: accuracy " in printed
    spec = spec_of(out)
    assert spec["label_set"] == "ferplus"
    assert spec["metrics"]["PublicTest"]["plain"]["num_faces"] == counts["PublicTest"]
    assert spec["provenance"]["soup"]["recalibrated_on"] == counts["learned"]


def test_ensemble_is_measured_against_its_own_labels(tmp_path, data, votes, counts, eight):
    other = save(tmp_path / "other.safetensors", FERPLUS_EMOTIONS, seed=4, config=tiny_config(**FERPLUS))
    words = ["ensemble", "--checkpoint", eight, "--checkpoint", other, "--data", data, "--device", "cpu"]
    words += ["--out", tmp_path / "ensemble.json", "--weighting", "equal"]
    assert "is measured against them. Fix: --ferplus" in run(*words, code=2).stderr
    assert "FER+ majority" in run(*words, "--ferplus", votes).stdout
    measured = json.loads(run(*words, "--ferplus", votes, "--json").stdout)
    assert (measured["label_set"], measured["num_faces"]) == ("ferplus", counts["PublicTest"])
    own = json.loads(evaluate(eight, data, "--ferplus", votes, "--labels", "ferplus", "--json").stdout)
    alone = measured["views"]["plain"]["members"][0]["accuracy"]
    assert alone == pytest.approx(own["views"]["plain"]["official"]["accuracy"])


def test_ensemble_of_both_label_sets_is_refused(tmp_path, data, eight, seven):
    words = ["ensemble", "--data", data, "--out", tmp_path / "e.json", "--checkpoint"]
    assert "An ensemble needs one list of labels" in run(*words, eight, "--checkpoint", seven, code=2).stderr
    like_ferplus = save(tmp_path / "like.safetensors", EMOTIONS, seed=3, label_set="ferplus")
    result = run(*words, seven, "--checkpoint", like_ferplus, code=2)
    assert "like.safetensors predicts FER+ majority, " in result.stderr
