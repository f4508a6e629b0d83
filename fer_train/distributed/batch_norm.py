"""Batch norm over the batches of all processes."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on any device; torch's SyncBatchNorm refuses the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, H, W) to the same shape; in eval mode as BatchNorm2d."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.numel() / values.shape[1] * dist.get_world_size()
        mean = _sum_of_all(values.sum(dim=(0, 2, 3))) / count
        centered = values - mean.view(1, -1, 1, 1)
        variance = _sum_of_all(centered.square().sum(dim=(0, 2, 3))) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        out: Tensor = (centered * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)
        return out

    @torch.no_grad()
    def _track(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased_variance, self.momentum)


class _SumOfAll(torch.autograd.Function):
    """Sum over all processes; backward, each process receives the summed gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def _sum_of_all(value: Tensor) -> Tensor:
    """Return the sum over all processes, differentiable."""
    total: Tensor = _SumOfAll.apply(value)
    return total
