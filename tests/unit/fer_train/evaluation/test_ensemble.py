import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from unit.fer_train.synthetic_faces import make_faces

from fer_train.checkpoint import save_release
from fer_train.data.readers.cache import file_sha256
from fer_train.errors import CheckpointError, ConfigError, DataError
from fer_train.evaluation.ensemble import (
    Ensemble,
    average,
    choose_weights,
    crossfitted_weights,
    load_ensemble,
    load_member,
    log_probs,
)
from fer_train.evaluation.evaluate import predict_logits
from fer_train.models import build_model
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

pytestmark = pytest.mark.usefixtures("narrow_net")
CPU = torch.device("cpu")
LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def release(path, seed, *, size=48, labels=LABELS, mean=PIXEL_MEAN, std=PIXEL_STD):
    torch.manual_seed(seed)
    model = build_model("net", num_classes=len(labels))
    with torch.no_grad():
        model.classifier.weight.mul_(1000)  # else every face gets the same answer
    spec = {"architecture": "net", "labels": labels, "input": {"height": size, "width": size, "mean": mean, "std": std}}
    path.parent.mkdir(exist_ok=True)
    save_release(path, model, spec)
    return path


@pytest.fixture
def pair(tmp_path):
    return [release(tmp_path / "members" / f"{name}.safetensors", seed) for seed, name in enumerate("ab")]


def mixture(num_faces, accuracies, seed=0):
    """Probabilities (K, N, 7) of members that are right this often and independently, each as sure as it is right."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, num_faces)
    probs = np.empty((len(accuracies), num_faces, 7))
    for k, accuracy in enumerate(accuracies):
        answers = np.where(rng.random(num_faces) < accuracy, labels, rng.integers(0, 7, num_faces))
        probs[k] = (1 - accuracy) / 6
        probs[k, np.arange(num_faces), answers] = accuracy
    return probs, labels


def loss(probs, weights, labels):
    return -np.log(average(probs, weights)[np.arange(len(labels)), labels]).mean()


def test_probabilities_are_the_weighted_mean_of_the_members_softmax(pair):
    ensemble = Ensemble.of(pair, [0.25, 0.75])
    images = make_faces(Training=5).images
    for flip in (False, True):
        parts = [predict_logits(m.model, images, device=CPU, flip=flip) for m in ensemble.members]
        softmax = [torch.from_numpy(part).softmax(dim=1).numpy() for part in parts]
        probs = ensemble.probs(images, device=CPU, flip=flip)
        np.testing.assert_allclose(probs, 0.25 * softmax[0] + 0.75 * softmax[1], rtol=1e-5)
        np.testing.assert_allclose(probs.sum(axis=1), 1)
    assert np.abs(softmax[0] - softmax[1]).max() > 0.1


def test_each_member_sees_its_own_size_and_normalization(tmp_path):
    small = release(tmp_path / "small.safetensors", 1, size=24, mean=0.0, std=255.0)
    large = release(tmp_path / "large.safetensors", 2)
    faces = make_faces(Training=4)
    probs = Ensemble.of([small, large]).member_probs(faces.images, device=CPU)
    member = Ensemble.of([small, large]).members[0]
    logits = predict_logits(member.model, faces.resized(24).images, device=CPU, mean_std=(0.0, 255.0))
    np.testing.assert_allclose(probs[0], torch.from_numpy(logits).softmax(dim=1).numpy(), rtol=1e-5)
    assert probs.shape == (2, 4, 7)


def test_log_probs_are_logits_of_the_same_probabilities():
    probs = np.array([[0.7, 0.3, 0.0]])
    logits = log_probs(probs)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(dim=1).numpy(), probs, atol=1e-7)


def test_chosen_weights_are_the_best_of_the_simplex():
    probs, labels = mixture(400, [0.8, 0.6, 0.3])
    weights = choose_weights(probs, labels)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    steps = np.arange(0, 1.01, 0.05)
    best = min(loss(probs, np.array([a, b, 1 - a - b]), labels) for a in steps for b in steps if a + b <= 1)
    assert loss(probs, weights, labels) < best + 1e-5
    assert loss(probs, weights, labels) < loss(probs, np.full(3, 1 / 3), labels) - 0.01


def test_a_member_that_only_harms_gets_almost_no_weight():
    probs, labels = mixture(300, [0.9, 0.5])
    probs[1] = 1e-9
    probs[1, np.arange(300), (labels + 1) % 7] = 1.0
    assert choose_weights(probs, labels)[1] < 1e-4


def test_answers_that_are_impossible_to_all_members_do_no_harm():
    probs = np.zeros((2, 3, 7))
    probs[:, :, 0] = 1.0
    weights = choose_weights(probs, np.array([0, 1, 0]))
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights, 0.5)


def faces_with(labels):
    faces = make_faces(Training=len(labels))
    return replace(faces, labels=labels)


def test_crossfitted_weights_of_a_face_do_not_depend_on_its_label():
    probs, labels = mixture(60, [0.7, 0.6])
    weights = crossfitted_weights(probs, faces_with(labels))
    assert len(np.unique(weights.round(9), axis=0)) == 5
    changed = labels.copy()
    changed[7] = (labels[7] + 3) % 7
    after = crossfitted_weights(probs, faces_with(changed))
    np.testing.assert_array_equal(after[7], weights[7])
    assert (np.abs(after - weights).max(axis=1) > 1e-6).sum() > 30


def test_crossfitted_measure_is_free_of_the_flattery_of_chosen_weights():
    """Ten members that know nothing: chosen weights look better than equal ones, cross-fitted ones do not."""
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.full(7, 0.3), size=(10, 150))
    labels = rng.integers(0, 7, 150)
    equal, chosen = np.full(10, 0.1), choose_weights(probs, labels)
    assert loss(probs, chosen, labels) < loss(probs, equal, labels)
    assert loss(probs, crossfitted_weights(probs, faces_with(labels)), labels) > loss(probs, equal, labels)


def test_faces_with_the_same_pixels_share_a_fold():
    probs, labels = mixture(40, [0.7, 0.6])
    faces = faces_with(labels)
    faces.images[20:] = faces.images[:20]
    weights = crossfitted_weights(probs, faces)
    np.testing.assert_array_equal(weights[:20], weights[20:])


def test_too_few_faces_for_the_folds():
    probs, labels = mixture(9, [0.7, 0.6])
    faces = faces_with(labels)
    faces.images[:] = faces.images[np.arange(9) % 4]
    with pytest.raises(DataError, match="needs 5 different faces or more, found 4"):
        crossfitted_weights(probs, faces)


def test_saved_ensemble_comes_back_wherever_the_folder_goes(tmp_path, pair):
    path = tmp_path / "ensemble.json"
    Ensemble.of(pair).save(path, np.array([0.3, 0.7]), {"note": "x"})
    content = json.loads(path.read_text())
    assert (content["note"], content["labels"]) == ("x", LABELS)
    assert content["members"][0] == {
        "path": "members/a.safetensors",
        "sha256": file_sha256(pair[0]),
        "architecture": "net",
        "weight": 0.3,
    }
    shutil.copytree(tmp_path / "members", tmp_path / "moved" / "members")
    shutil.copy(path, tmp_path / "moved")
    shutil.rmtree(tmp_path / "members")
    members = load_ensemble(tmp_path / "moved" / "ensemble.json")
    assert [member.weight for member in members] == [0.3, 0.7]
    assert [member.spec["architecture"] for member in members] == ["net", "net"]
    assert not any(member.model.training for member in members)
    assert Ensemble.load(tmp_path / "moved" / "ensemble.json").labels == LABELS


@pytest.fixture
def saved(tmp_path, pair):
    Ensemble.of(pair).save(tmp_path / "ensemble.json", np.array([0.5, 0.5]), {})
    return tmp_path / "ensemble.json"


def test_a_member_that_was_replaced(saved, pair):
    release(pair[1], 9)
    seen = file_sha256(pair[1])[:12]
    message = (
        rf"b\.safetensors is not the file from which .*ensemble\.json was created: sha256 is {seen}, expected .* Fix"
    )
    with pytest.raises(CheckpointError, match=message):
        load_ensemble(saved)


def test_a_member_that_is_gone(saved, pair):
    pair[0].unlink()
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*a\.safetensors"):
        load_ensemble(saved)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "Expecting property name"),
        ("[1]", "list indices"),
        ('{"format": "other"}', "format 'other', expected 'fer-ensemble-1'"),
        ('{"format": "fer-ensemble-1"}', "'members'"),
        ('{"format": "fer-ensemble-1", "members": []}', "empty"),
        (
            '{"format": "fer-ensemble-1", "members": [{"path": "a", "sha256": "b", "weight": 0.5}]}',
            r"weights \[0\.5\], expected a sum of 1 and none below 0",
        ),
    ],
)
def test_a_file_that_is_no_ensemble(tmp_path, text, fault):
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(CheckpointError, match=rf"cannot load .*e\.json: not an ensemble of fer-train \(.*{fault}"):
        load_ensemble(tmp_path / "e.json")


def test_no_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"no ensemble at .*e\.json\. Fix: fer-train ensemble --checkpoint"):
        load_ensemble(tmp_path / "e.json")


def test_one_checkpoint_is_no_ensemble(pair):
    with pytest.raises(ConfigError, match=r"needs at least 2 checkpoints, got 1\. Fix: one more --checkpoint"):
        Ensemble.of(pair[:1])


def test_the_same_model_twice(tmp_path, pair):
    copied = shutil.copy(pair[0], tmp_path / "copy.safetensors")
    with pytest.raises(ConfigError, match=r"copy\.safetensors and .*a\.safetensors are the same model\. Fix: name it"):
        Ensemble.of([pair[0], copied])


def test_members_must_know_the_same_labels(tmp_path, pair):
    eight = release(tmp_path / "eight.safetensors", 3, labels=[*LABELS, "contempt"])
    with pytest.raises(
        ConfigError, match=r"eight\.safetensors has the labels angry, .*contempt, .*a\.safetensors has angry"
    ):
        Ensemble.of([pair[0], eight])


def test_members_that_list_their_labels_in_another_order_are_matched_by_name(tmp_path, pair):
    member = load_member(pair[1], 1.0)
    order = [3, 0, 6, 5, 1, 2, 4]
    with torch.no_grad():
        for part in (member.model.classifier.weight, member.model.classifier.bias):
            part.copy_(part[order].clone())
    turned = tmp_path / "turned.safetensors"
    save_release(turned, member.model, member.spec | {"labels": [LABELS[i] for i in order]})
    images = make_faces(Training=6).images
    expected = Ensemble.of(pair).probs(images, device=CPU)
    for paths in ([pair[0], turned], [turned, pair[0]]):
        ensemble = Ensemble.of(paths)
        assert ensemble.labels == LABELS
        np.testing.assert_allclose(ensemble.probs(images, device=CPU), expected, rtol=1e-5)
