import numpy as np
import pytest
import torch
from torch import nn

from fer_train.release.recalibrate import recalibrate_batch_norm


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


def test_other_precision_runs_under_autocast_and_progress_counts_faces():
    images = np.random.default_rng(0).integers(0, 256, size=(300, 8, 8)).astype(np.uint8)
    exact, rounded = (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)) for _ in range(2))
    rounded.load_state_dict(exact.state_dict())
    seen = []
    for model, dtype in ((exact, torch.float32), (rounded, torch.bfloat16)):
        recalibrate_batch_norm(
            model,
            images,
            device=torch.device("cpu"),
            mean_std=(100.0, 50.0),
            dtype=dtype,
            on_batch=lambda *counts: seen.append(counts),
        )
    assert seen == [(0, 300), (256, 300), (300, 300)] * 2
    assert rounded[1].running_var.dtype == torch.float32
    assert not torch.equal(exact[1].running_var, rounded[1].running_var)
    assert torch.allclose(exact[1].running_var, rounded[1].running_var, rtol=0.02)
