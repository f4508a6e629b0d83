"""Columns of models brought into another order of labels by name: logits, probabilities and classifiers."""

import numpy as np
import pytest
import torch
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import load_release, save_release
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS
from fer_train.data.label_columns import align_logits, align_probs, load_aligned, require_shared
from fer_train.errors import ConfigError
from fer_train.models import build_model
from fer_train.spec import describe_model
from fer_train.training.run import build_run

pytestmark = pytest.mark.usefixtures("narrow_net")
PERMUTED = ("neutral", "angry", "surprise", "happy", "disgust", "sad", "fear")


def random_logits(num_classes, seed=0):
    return np.random.default_rng(seed).normal(size=(5, num_classes)).astype(np.float32)


def test_logits_go_by_name():
    logits = random_logits(7)
    aligned = align_logits(logits, PERMUTED, EMOTIONS)
    for name in EMOTIONS:
        np.testing.assert_array_equal(aligned[:, EMOTIONS.index(name)], logits[:, PERMUTED.index(name)])
    assert align_logits(logits, EMOTIONS, EMOTIONS) is logits


def test_class_that_is_not_wanted_is_left_out():
    logits = random_logits(8)
    np.testing.assert_array_equal(align_logits(logits, FERPLUS_EMOTIONS, EMOTIONS), logits[:, :7])


def test_class_that_the_model_lacks_is_never_chosen():
    logits = random_logits(7)
    aligned = align_logits(logits, EMOTIONS, FERPLUS_EMOTIONS)
    assert (aligned.shape, aligned.dtype) == ((5, 8), np.float32)
    np.testing.assert_array_equal(aligned[:, :7], logits)
    np.testing.assert_allclose(aligned[:, 7], logits.min(axis=1) - 20, rtol=1e-6)


def test_probabilities_sum_to_one_under_every_list_of_labels():
    probs = torch.from_numpy(random_logits(8)).softmax(dim=1)
    permuted = align_probs(probs[:, :7] / probs[:, :7].sum(dim=1, keepdim=True), EMOTIONS, PERMUTED)
    np.testing.assert_allclose(permuted[:, 0] / permuted[:, 1], probs[:, 6] / probs[:, 0], rtol=1e-5)  # neutral, angry
    fewer, more = (
        align_probs(probs, FERPLUS_EMOTIONS, EMOTIONS),
        align_probs(fewer_of(probs), EMOTIONS, FERPLUS_EMOTIONS),
    )
    assert (more[:, 7] == 0).all()
    for aligned in (permuted, fewer, more):
        np.testing.assert_allclose(aligned.sum(dim=1), 1, rtol=1e-6)


def fewer_of(probs):
    return align_probs(probs, FERPLUS_EMOTIONS, EMOTIONS)


@pytest.mark.parametrize("name", ["net", "senet"])
def test_permuted_classifier_gives_the_same_probabilities_by_name(name):
    source, model = build_model(name, num_classes=7).eval(), build_model(name, num_classes=7).eval()
    load_aligned(model, source.state_dict(), PERMUTED, EMOTIONS)
    images = torch.randn(3, 1, 48, 48)
    with torch.inference_mode():
        wanted, found = source(images).softmax(dim=1), model(images).softmax(dim=1)
    for emotion in EMOTIONS:
        np.testing.assert_allclose(
            found[:, EMOTIONS.index(emotion)], wanted[:, PERMUTED.index(emotion)], rtol=1e-4, atol=1e-6
        )


def test_new_class_starts_unlikely_and_the_others_as_they_were():
    torch.manual_seed(1)
    source, model = build_model("net", num_classes=7).eval(), build_model("net", num_classes=8).eval()
    load_aligned(model, source.state_dict(), EMOTIONS, FERPLUS_EMOTIONS)
    images = torch.randn(16, 1, 48, 48)
    with torch.inference_mode():
        before, after = source(images), model(images)
    np.testing.assert_allclose(after[:, :7], before, rtol=1e-4, atol=1e-5)
    probs = after.softmax(dim=1)
    assert (probs[:, 7] < 1 / 20).all()
    assert (probs[:, 7] > 0).all()


def test_weights_and_labels_of_other_numbers_are_refused():
    model = build_model("net", num_classes=8)
    with pytest.raises(RuntimeError, match="has 7 rows for 6 labels"):
        load_aligned(model, build_model("net", num_classes=7).state_dict(), EMOTIONS[:6], FERPLUS_EMOTIONS)


@pytest.mark.parametrize("names", [PERMUTED, EMOTIONS[:3], FERPLUS_EMOTIONS])
def test_lists_that_hold_each_other_are_taken(names):
    require_shared(names, EMOTIONS, what="it", fix="no")


@pytest.mark.parametrize("names", [("happy", "bored"), ("happy",), ("class_0", "class_1"), (*EMOTIONS[:6], "calm")])
def test_lists_that_share_too_little_are_refused(names):
    with pytest.raises(ConfigError, match=f"it has the labels {', '.join(names)}; angry, .* are needed. Fix: another"):
        require_shared(names, EMOTIONS, what="it", fix="another")


def test_run_of_eight_classes_starts_from_a_release_of_seven(tmp_path):
    torch.manual_seed(3)
    parent = tmp_path / "seven.safetensors"
    save_release(parent, build_model("net", num_classes=7), describe_model(tiny_config(), make_faces(), {}))
    run = build_run(tiny_config(init=str(parent), labels="ferplus", num_classes=8), steps_per_epoch=4)
    known = load_release(parent)[0].state_dict()
    torch.testing.assert_close(run.model.state_dict()["classifier.weight"][:7], known["classifier.weight"])
    assert run.ancestor["config"]["labels"] == "fer2013"


def test_init_of_another_architecture_is_named(tmp_path):
    parent = tmp_path / "net.safetensors"
    save_release(parent, build_model("net", num_classes=7), describe_model(tiny_config(), make_faces(), {}))
    for changes in ({}, {"labels": "ferplus", "num_classes": 8}):
        with pytest.raises(
            ConfigError, match=r"is of another model than this config: net, not senet\. Fix: model: net"
        ):
            build_run(tiny_config(init=str(parent), model="senet", **changes), steps_per_epoch=4)
