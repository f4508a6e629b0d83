from pathlib import Path

import numpy as np
import pytest
import torch
from unit.fer_train.synthetic_faces import PLAIN_INPUT, make_faces, tiny_config

from fer_train.checkpoint import save_release
from fer_train.data import take_split
from fer_train.data.faces import EMOTIONS
from fer_train.errors import CheckpointError, ConfigError
from fer_train.evaluation.ensemble import Member, load_member
from fer_train.evaluation.evaluate import evaluate
from fer_train.models import build_model
from fer_train.release.recalibrate import recalibrate_on_faces
from fer_train.release.soup import (
    NUM_TRIAL_FACES,
    accuracy_on,
    average_weights,
    choose_greedily,
    describe_soup,
    load_ingredients,
    make_soup,
)
from fer_train.spec import describe_model

pytestmark = pytest.mark.usefixtures("narrow_net")
CPU = torch.device("cpu")


def checkpoint(path, seed, *, dtype=torch.float32, quantization=None, **changes):
    config = tiny_config(**changes)
    torch.manual_seed(seed)
    model = build_model(config.model, num_classes=config.num_classes)
    spec = describe_model(config, make_faces(), {"accuracy": seed / 10}, quantization=quantization)
    save_release(path, model, spec, dtype)
    return path


@pytest.fixture
def paths(tmp_path):
    return [checkpoint(tmp_path / f"{name}.safetensors", seed) for seed, name in enumerate("abc")]


def test_weights_are_the_mean_in_single_precision_and_ingredients_stay(tmp_path):
    paths = [checkpoint(tmp_path / f"{seed}.safetensors", seed, dtype=torch.float16) for seed in range(3)]
    ingredients = load_ingredients(paths)
    states = [{k: v.clone() for k, v in member.model.state_dict().items()} for member in ingredients]
    mean = average_weights(ingredients).state_dict()
    for name, value in mean.items():
        if not value.is_floating_point():
            continue
        assert value.dtype == torch.float32
        expected = np.mean([state[name].numpy().astype(np.float64) for state in states], axis=0)
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5, atol=1e-7)
    assert not torch.equal(mean["classifier.weight"], states[0]["classifier.weight"])
    for member, state in zip(ingredients, states, strict=True):
        assert all(torch.equal(state[k], v) for k, v in member.model.state_dict().items())


def test_batch_norm_is_that_of_the_mean_on_the_training_faces(paths):
    ingredients, training = load_ingredients(paths), take_split(make_faces(seed=3), "Training")
    expected = average_weights(ingredients)
    recalibrate_on_faces(expected, training, spec=ingredients[0].spec)
    soup = make_soup(ingredients, training, device=CPU)
    assert all(torch.equal(a, b) for a, b in zip(soup.buffers(), expected.buffers(), strict=True))
    assert any(bool(value.any()) for name, value in soup.named_buffers() if name.endswith("running_mean"))
    assert not soup.training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "senet"}, r"b\.safetensors has architecture senet, .*a\.safetensors has net\. .* Fix: leave one of"),
        ({"num_classes": 3}, r"has labels class_0, class_1, class_2, .* has angry, disgust, .* Fix: leave one of"),
        ({"image_size": 32}, r"has input \{'name': 'images', 'height': 32, .* Fix: leave one of the two out"),
        ({"protocol": "clean"}, r"has protocol clean, .* has official\. Weights can be averaged only if these are"),
        ({"validation_split": "test"}, r"has validation_split test, .* has PublicTest\."),
        ({"quantization": {"classifier": 1.0}}, r"b\.safetensors was trained quantization-aware: .* Fix: leave it out"),
    ],
)
def test_what_cannot_be_averaged_is_refused(tmp_path, changes, message):
    first = checkpoint(tmp_path / "a.safetensors", 0)
    other = checkpoint(tmp_path / "b.safetensors", 1, **changes)
    with pytest.raises(ConfigError, match=message):
        load_ingredients([first, other])


def test_one_checkpoint_or_the_same_twice_is_refused(paths, tmp_path):
    with pytest.raises(ConfigError, match=r"a soup needs at least 2 checkpoints, got 1\. Fix: one more --checkpoint"):
        load_ingredients(paths[:1])
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(paths[0].read_bytes())
    with pytest.raises(ConfigError, match=r"copy\.safetensors and .*a\.safetensors are the same model\. Fix: name it"):
        load_ingredients([*paths, copy])


@pytest.mark.parametrize("provenance", [{}, {"provenance": {"created": "today"}}])
def test_weights_of_unknown_origin_are_refused(paths, tmp_path, provenance):
    model = load_member(paths[0], 1.0).model
    spec = {"architecture": "net", "labels": list(EMOTIONS), "input": PLAIN_INPUT, **provenance}
    save_release(tmp_path / "foreign.safetensors", model, spec)
    with pytest.raises(CheckpointError, match=r"foreign\.safetensors does not say how it was trained .* Fix: a check"):
        load_ingredients([paths[0], tmp_path / "foreign.safetensors"])


def scripted(**accuracies):
    """Members named by letters, and an accuracy that is looked up by the letters of a soup."""
    members = {
        name: Member(Path(name), name, torch.nn.Identity(), {}, 1.0) for name in sorted(set("".join(accuracies)))
    }
    asked = []

    def accuracy(soup):
        asked.append("".join(member.sha256 for member in soup))
        return accuracies[asked[-1]]

    return list(members.values()), accuracy, asked


def test_greedy_begins_with_the_best_and_keeps_what_does_not_harm():
    members, accuracy, asked = scripted(a=0.50, b=0.60, c=0.55, d=0.40, bc=0.61, bca=0.59, bcd=0.61)
    trials = choose_greedily(members, accuracy)
    assert asked == ["a", "b", "c", "d", "bc", "bca", "bcd"]
    assert [(t.ingredient.sha256, t.alone, t.together, t.is_kept) for t in trials] == [
        ("b", 0.60, 0.60, True),
        ("c", 0.55, 0.61, True),
        ("a", 0.50, 0.59, False),
        ("d", 0.40, 0.61, True),
    ]


def test_greedy_keeps_at_least_the_best():
    members, accuracy, _ = scripted(a=0.0, b=0.2, ba=0.1)
    assert [t.ingredient.sha256 for t in choose_greedily(members, accuracy) if t.is_kept] == ["b"]


def test_accuracy_is_that_of_the_soup_on_the_validation_faces_with_few_training_faces(paths, monkeypatch):
    monkeypatch.setattr("fer_train.release.soup.NUM_TRIAL_FACES", 16)
    ingredients, faces = load_ingredients(paths), make_faces(seed=3)
    for member in ingredients:
        with torch.no_grad():
            member.model.classifier.weight.mul_(30)  # else every face gets the same answer
    training, validation = take_split(faces, "Training"), take_split(faces, "PublicTest")
    accuracy = accuracy_on(validation, training, spec=ingredients[0].spec, device=CPU)
    few = training.select(np.isin(training.rows, np.linspace(0, 63, 16).round()))
    assert len(few) == 16
    for chosen in (ingredients, ingredients[1:2]):
        expected = evaluate(make_soup(chosen, few, device=CPU), validation.resized(16), device=CPU).accuracy
        assert accuracy(chosen) == expected


def test_all_training_faces_are_tried_where_there_are_few(paths):
    assert NUM_TRIAL_FACES > 64
    ingredients, faces = load_ingredients(paths), make_faces(seed=3)
    training, validation = take_split(faces, "Training"), take_split(faces, "PublicTest")
    accuracy = accuracy_on(validation, training, spec=ingredients[0].spec, device=CPU)
    soup = make_soup(ingredients, training, device=CPU)
    assert accuracy(ingredients) == evaluate(soup, validation.resized(16), device=CPU).accuracy


def test_provenance_names_each_ingredient(paths):
    ingredients, faces = load_ingredients(paths), make_faces()
    spec = describe_soup(ingredients, faces, [], device=CPU)
    assert {k: spec[k] for k in ("architecture", "labels", "input")} == {
        k: ingredients[0].spec[k] for k in ("architecture", "labels", "input")
    }
    soup = spec["provenance"]["soup"]
    assert (soup["recalibrated_on"], soup["chosen_on"], soup["left_out"]) == (64, None, [])
    assert soup["ingredients"] == [
        {
            "path": f"{name}.safetensors",
            "sha256": member.sha256,
            "metrics": {"accuracy": seed / 10},
            "weight": 1 / 3,
            "provenance": member.spec["provenance"],
        }
        for seed, (name, member) in enumerate(zip("abc", ingredients, strict=True))
    ]


def test_provenance_of_a_greedy_soup_tells_what_chose_and_what_was_left_out(paths):
    ingredients = load_ingredients(paths)
    worth = {1: iter([0.5, 0.7, 0.6]), 2: iter([0.65, 0.75])}
    trials = choose_greedily(ingredients, lambda soup: next(worth[len(soup)]))
    kept = [trial.ingredient for trial in trials if trial.is_kept]
    soup = describe_soup(kept, make_faces(), trials, device=CPU)["provenance"]["soup"]
    assert soup["chosen_on"] == "PublicTest"
    measured = {
        row["path"]: (row["accuracy_alone"], row["accuracy_together"]) for row in soup["ingredients"] + soup["left_out"]
    }
    assert measured == {"b.safetensors": (0.7, 0.7), "c.safetensors": (0.6, 0.65), "a.safetensors": (0.5, 0.75)}
    assert [row["path"] for row in soup["ingredients"]] == ["b.safetensors", "a.safetensors"]
    assert [row["path"] for row in soup["left_out"]] == ["c.safetensors"]
