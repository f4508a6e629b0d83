"""What FER+'s majority says about a model's answers: counted by hand on a few faces, printed, and in the card."""

import json
from dataclasses import replace

import numpy as np
import pytest
from unit.fer_train.ferplus_cases import evaluate, run, save, write_ferplus_files
from unit.fer_train.synthetic_faces import make_faces

from fer_train.checkpoint import load_release
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS
from fer_train.evaluation.evaluate import Evaluation
from fer_train.evaluation.second_opinion import SecondOpinion, second_opinion

ANGRY, HAPPY, SAD, NEUTRAL = (EMOTIONS.index(name) for name in ("angry", "happy", "sad", "neutral"))
VOTES = {"neutral": 0, "happy": 1, "surprise": 2, "sad": 3, "angry": 4, "contempt": 7, "unknown": 8}
"""Column of the votes."""


def votes(**counts):
    row = np.zeros(10, dtype=np.uint8)
    for name, count in counts.items():
        row[VOTES[name]] = count
    return row


CASES = [
    # answer, label, votes
    (HAPPY, HAPPY, votes(happy=10)),  # confirmed, right
    (HAPPY, HAPPY, votes(happy=8, neutral=2)),  # confirmed, right
    (SAD, HAPPY, votes(happy=9, sad=1)),  # confirmed, wrong: the label is right
    (SAD, SAD, votes(neutral=7, sad=3)),  # contradicted, and the model repeats it
    (NEUTRAL, SAD, votes(neutral=9)),  # contradicted: the model is right
    (NEUTRAL, ANGRY, votes(neutral=6, contempt=4)),  # contradicted: the model is right
    (SAD, ANGRY, votes(contempt=8, neutral=2)),  # contradicted: neither
    (SAD, ANGRY, votes(sad=4, angry=3, neutral=3)),  # undecided, wrong
    (SAD, SAD, votes(sad=5, neutral=5)),  # undecided, right: no error
    (SAD, ANGRY, votes(unknown=9)),  # undecided: no emotion has the majority
]


def measured(cases, label_set="fer2013", names=EMOTIONS):
    answers, labels, rows = zip(*cases, strict=True)
    faces = replace(
        make_faces(PublicTest=len(cases)),
        labels=np.array(labels, dtype=np.int64),
        votes=np.stack(rows),
        label_set=label_set,
    )
    logits = np.eye(len(names), dtype=np.float32)[list(answers)]
    return Evaluation("PublicTest", list(names), faces, {"plain": logits}, None, "")


def test_answers_are_counted_by_what_the_majority_says():
    assert second_opinion(measured(CASES)) == SecondOpinion(
        confirmed=3,
        confirmed_accuracy=2 / 3,
        contradicted=4,
        contradicted_accuracy=1 / 4,
        errors=6,
        model_right=2,
        label_right=1,
        neither=1,
        undecided=2,
    )


def test_in_words():
    assert second_opinion(measured(CASES)).in_words == (
        "accuracy: 66.7% of the 3 faces whose label FER+'s majority confirms, 25.0% of the 4 faces whose label FER+'s "
        "majority contradicts. Of the 6 errors the majority says what the model says in 2, what the label says in 1, "
        "something else in 1; 2 have no majority"
    )
    assert second_opinion(measured(CASES[-1:])).in_words.startswith("accuracy: no face has a majority. Of the 1 errors")


def test_other_measurements_have_none():
    assert second_opinion(measured(CASES, "ferplus", FERPLUS_EMOTIONS)) is None
    assert second_opinion(measured(CASES, names=["a", "b", "c", "d", "e", "f", "g"])) is None
    whole = measured(CASES)
    assert second_opinion(replace(whole, faces=replace(whole.faces, votes=None))) is None


@pytest.mark.usefixtures("narrow_net")
def test_evaluate_and_the_card_tell_it(tmp_path):
    files = write_ferplus_files(tmp_path)
    path = save(tmp_path / "seven.safetensors", EMOTIONS)
    printed = json.loads(evaluate(path, files.data, "--ferplus", files.votes, "--json").stdout)
    found = SecondOpinion(**printed["labels"]["fer2013"]["second_opinion"])
    plain = printed["labels"]["fer2013"]["views"]["plain"]["official"]
    assert found.errors == round((1 - plain["accuracy"]) * plain["num_faces"])
    assert found.errors == found.model_right + found.label_right + found.neither + found.undecided
    assert printed["labels"]["ferplus"]["second_opinion"] is None
    assert found.in_words in evaluate(path, files.data, "--ferplus", files.votes).stdout
    assert "majority confirms" not in evaluate(path, files.data).stdout

    out = tmp_path / "out.safetensors"
    run("release", "--checkpoint", path, "--data", files.data, "--ferplus", files.votes, "--out", out)
    opinion = load_release(out)[1]["provenance"]["second_opinion"]["PublicTest"]
    assert f"{SecondOpinion(**opinion).in_words}." in out.with_suffix(".md").read_text()


@pytest.mark.usefixtures("narrow_net")
def test_a_release_without_votes_has_none_of_the_release_that_it_was_made_from(tmp_path):
    files = write_ferplus_files(tmp_path)
    path = save(tmp_path / "seven.safetensors", EMOTIONS)
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run("release", "--checkpoint", path, "--data", files.data, "--ferplus", files.votes, "--out", first)
    assert {"second_opinion", "other_labels"} <= load_release(first)[1]["provenance"].keys()
    run("release", "--checkpoint", first, "--data", files.data, "--recalibrate", "--out", second)
    assert not {"second_opinion", "other_labels"} & load_release(second)[1]["provenance"].keys()
    assert "FER+ majority" not in second.with_suffix(".md").read_text()
