"""The choices of a release equal the releases themselves."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from unit.fer_train.synthetic_faces import make_faces, make_votes, tiny_config

from fer_train.data import take_split
from fer_train.evaluation.evaluate import evaluate_split
from fer_train.release.choices import STRENGTHS, measure_choices
from fer_train.release.logit_adjustment import adjust_logits
from fer_train.release.recalibrate import recalibrate_on_faces
from fer_train.spec import describe_model


@pytest.fixture
def faces():
    """Training has a class with one face, and others with up to twenty; PublicTest has as many of each."""
    made = make_faces(Training=64, PublicTest=140)
    made.labels[:64] = np.repeat(np.arange(7), [1, 2, 4, 8, 12, 17, 20])
    return made


def small_model(num_classes):
    """Batch norm and a classifier, whose logits are so close together that the shares of the classes decide."""
    torch.manual_seed(2)
    side = tiny_config().image_size
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(side * side, num_classes)).eval()
    with torch.no_grad():
        model[2].weight.normal_(0.0, 0.3 / side)
        model[2].bias.zero_()
    return model


def choices_of(model, faces, spec):
    training = take_split(faces, "Training")
    progress = lambda _: nullcontext(lambda *_: None)  # noqa: E731
    return list(measure_choices(model, training, faces, "PublicTest", spec=spec, progress=progress))


def test_each_equals_the_model_with_these_changes(faces):
    model, spec = small_model(7), describe_model(tiny_config(), faces, {})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    choices = choices_of(model, faces, spec)
    assert [(choice.is_recalibrated, choice.strength) for choice in choices] == [
        (flag, strength) for flag in (False, True) for strength in STRENGTHS
    ]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    training = take_split(faces, "Training")
    for choice in choices:
        model.load_state_dict(before)
        if choice.is_recalibrated:
            recalibrate_on_faces(model, training, spec=spec)
        adjust_logits(model, training.labels, choice.strength)
        seen = evaluate_split(model, faces, "PublicTest", spec=spec)
        assert choice.plain.confusion == seen.official("plain").confusion
        assert choice.flip.confusion == seen.official("flip").confusion
    assert len({str(choice.plain.confusion) for choice in choices}) == len(choices)  # otherwise nothing was compared


def test_a_quantization_aware_model_keeps_its_statistics(faces):
    spec = describe_model(tiny_config(), faces, {}) | {"quantization": {"scheme": "cpu"}}
    choices = choices_of(small_model(7), faces, spec)
    assert [choice.is_recalibrated for choice in choices] == [False] * len(STRENGTHS)


def test_votes_are_not_adjusted(faces):
    spec = describe_model(tiny_config(labels="ferplus", num_classes=8), faces, {})
    with_votes = replace(faces, votes=make_votes(faces))
    choices = choices_of(small_model(8), with_votes, spec)
    assert [(choice.is_recalibrated, choice.strength) for choice in choices] == [(False, 0.0), (True, 0.0)]
    assert choices[0].plain.num_faces < np.sum(faces.splits == "PublicTest")  # those with a majority
