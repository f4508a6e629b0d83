import numpy as np
import pytest
import torch
from torch import nn

from fer_train.errors import ConfigError
from fer_train.release.logit_adjustment import adjust_logits

LABELS = np.array([0] * 6 + [1] * 3 + [2])


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def test_all_of_the_prior_makes_classes_equally_likely_again():
    adjusted, images = model(), torch.randn(7, 4)
    before = adjusted(images)
    assert adjust_logits(adjusted, LABELS, 1.0) == [0.6, 0.3, 0.1]
    moved = (adjusted(images) - before).detach().numpy()
    assert moved[:, 1] - moved[:, 0] == pytest.approx(np.full(7, np.log(2)), abs=1e-5)
    assert moved[:, 2] - moved[:, 0] == pytest.approx(np.full(7, np.log(6)), abs=1e-5)
    assert moved.sum(axis=1) == pytest.approx(np.zeros(7), abs=1e-5)


def test_a_share_of_the_prior_moves_logits_by_that_share():
    half, images = model(), torch.randn(7, 4)
    before = half(images)
    adjust_logits(half, LABELS, 0.5)
    moved = (half(images) - before).detach().numpy()
    assert moved[:, 2] - moved[:, 0] == pytest.approx(np.full(7, np.log(6) / 2), abs=1e-5)


def test_a_class_without_a_face_has_no_prior():
    with pytest.raises(ConfigError, match=r"class 1 has no face in the training split.*Fix: leave"):
        adjust_logits(model(), np.array([0, 2, 2]), 0.3)
