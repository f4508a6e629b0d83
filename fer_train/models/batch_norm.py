"""Measure the statistics of batch norm for weights that came without, and keep the function of the network."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def measure_batch_norm(model: nn.Module, faces: Tensor) -> None:
    """Give each 2-d batch norm the mean and variance of its input over `faces`, and scale and shift it back.

    In evaluation mode the outputs stay as they were. In training mode, where batch norm takes the statistics of the
    batch, the network computes about the same function from the first step on.

    Args:
        model: network with running statistics, on the device of `faces`; its mode stays as it was.
        faces: normalized faces (N, 1, H, W) float like those of the training; two thousand are enough.
    """

    def take(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        mean, variance = inputs[0].mean(dim=(0, 2, 3)), inputs[0].var(dim=(0, 2, 3))
        scale = layer.weight / (layer.running_var + layer.eps).sqrt()
        layer.bias.add_(scale * (mean - layer.running_mean))
        layer.weight.copy_(scale * (variance + layer.eps).sqrt())
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)

    hooks = [m.register_forward_pre_hook(take) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    was_training = model.training
    try:
        model.eval()(faces)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
