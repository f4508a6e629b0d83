"""Data-parallel training under torchrun: rank, share of a batch, sums over all processes, global batch norm.

Every process holds the whole data set (66 MB) and draws the same random numbers; only the network's work is split.
With gloo on the CPU or NCCL on GPUs, n processes produce the same weights as one process with the same batch size, up
to rounding, if the network itself draws nothing (dropout 0).

With dropout (and the stochastic depth of EfficientNet) each process draws its own masks, from a seed that depends on
run, epoch and rank, so no two processes drop the same features. The same number of processes reproduces the same
weights, also after a resume; another number of processes produces other weights of the same distribution.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from fer_train.errors import ConfigError

_RESTARTS = "TORCHELASTIC_RESTART_COUNT"
"""Environment variable in which torchrun counts its restarts."""

_SEED_STEP = 2_654_435_761
"""Distance between the seeds of processes; PyTorch's CPU generator uses only the lower 32 bits of a seed."""


@dataclass(frozen=True)
class World:
    """The processes of one run; `ALONE` without torchrun."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Return whether this process writes files and prints."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """Return this process's rows of a batch.

        Raises:
            ConfigError: the batch cannot be split evenly.
        """
        if batch_size % self.size:
            raise ConfigError(
                f"batch_size {batch_size} cannot be split evenly among {self.size} processes. "
                f"Fix: a batch_size that is a multiple of {self.size}"
            )
        part = batch_size // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def own_seed(self, seed: int) -> int:
        """Return the seed of this process for what each process draws by itself; the first process uses `seed`."""
        return seed + self.rank * _SEED_STEP

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def from_first(self, value: Any) -> Any:
        """Return the value of the first process; the values of the others are dropped."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder)
        return holder[0]

    def parallel(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return a module whose backward pass averages gradients over all processes; batch norm becomes global."""
        if self.size == 1:
            return model
        for module in model.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = GlobalBatchNorm2d  # keeps names and tensors: a checkpoint does not change
        # A kernel with one input channel has the same layout in either order of its strides; the warning is harmless.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


ALONE = World()


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


@contextmanager
def torchrun_world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started while the context is open; yield `ALONE` without torchrun.

    A nested context yields the world of the outer one: a process group can be initialized only once.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if dist.is_initialized():
        yield World(dist.get_rank(), size)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # NCCL sends objects from this device
    # torchrun keeps its store across restarts: without a prefix, processes would look for those that died.
    store, rank, _ = next(rendezvous("env://"))
    attempt = PrefixStore(f"fer_train/attempt-{os.environ.get(_RESTARTS, '0')}", store)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=attempt, rank=rank, world_size=size)
    try:
        yield World(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def is_first_process() -> bool:
    """Return whether this process prints: torchrun's first, or the only one. Works before the processes joined."""
    return os.environ.get("RANK", "0") == "0"


def local_device(name: str) -> str:
    """Return the device of this process: under torchrun "auto" and "cuda" mean the GPU of the local rank."""
    if "LOCAL_RANK" in os.environ and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


def was_restarted() -> bool:
    """Return whether torchrun restarted this process after one of them died."""
    return int(os.environ.get(_RESTARTS, "0")) > 0
