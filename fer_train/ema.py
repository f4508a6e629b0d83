"""Averaged weights (EMA) with a warm-up, on torch's AveragedModel."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged_model(model: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of weights and batch-norm statistics.

    The decay rises as (1 + steps) / (10 + steps) up to `decay`, so that early averages are not the initial weights.
    """

    @torch.no_grad()
    def update(averaged: tuple[Tensor, ...] | list[Tensor], current: tuple[Tensor, ...] | list[Tensor],
               steps: Tensor | int) -> None:  # fmt: skip
        count = torch.as_tensor(steps)
        # A tensor all the way: reading the count as a Python number would wait for the device each step.
        weight = 1 - torch.clamp((1 + count) / (10 + count), max=decay)
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, weight.to(mean.dtype))
            else:
                mean.copy_(value)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
