import numpy as np
import pytest
import torch
from torch import nn

from fer_train.recalibrate import recalibrate_batch_norm


def test_statistics_become_those_of_the_images_and_weights_stay():
    images = np.random.default_rng(0).integers(0, 256, size=(512, 8, 8)).astype(np.uint8)
    model = nn.Sequential(nn.BatchNorm2d(1))
    weight = model[0].weight.detach().clone()
    recalibrate_batch_norm(model, images, device=torch.device("cpu"), mean_std=(100.0, 50.0))
    normalized = (images.astype(np.float64) - 100) / 50
    assert model[0].running_mean.item() == pytest.approx(normalized.mean(), abs=1e-4)
    assert model[0].running_var.item() == pytest.approx(normalized.var(), rel=1e-2)
    assert torch.equal(model[0].weight, weight)
    assert not model.training
