"""Data-parallel training under torchrun: who am I, my share of a batch, sums over all, one batch norm for all.

Every process holds the whole data set (66 MB) and draws the same chances; only the network's work is shared out.
With gloo on the CPU or NCCL on GPUs, n processes give the weights that one would give with the same batch size, up to
rounding, where the network itself draws nothing: with dropout 0.

With dropout (and the stochastic depth of EfficientNet) each process draws masks of its own, from a seed that depends on
run, epoch and rank. Then no two processes drop the same features; the same number of processes gives the same weights
again, also after a resume; another number of processes gives other weights, of the same distribution.
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
"""What torchrun calls the number of times that it has started its processes anew."""

_SEED_STEP = 2_654_435_761
"""Between the seeds of processes; PyTorch's generator on the CPU uses the lower 32 bits of a seed alone."""


@dataclass(frozen=True)
class World:
    """The processes of one run; `ALONE` without torchrun."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """Return this process's rows of a batch.

        Raises:
            ConfigError: the batch cannot be shared out evenly.
        """
        if batch_size % self.size:
            raise ConfigError(
                f"batch_size {batch_size} cannot be shared out evenly among {self.size} processes. "
                f"Fix: a batch_size that is a multiple of {self.size}"
            )
        part = batch_size // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def own_seed(self, seed: int) -> int:
        """Return a seed for what each process draws by itself; that of the first process is `seed`."""
        return seed + self.rank * _SEED_STEP

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def from_first(self, value: Any) -> Any:
        """Return what the first process holds; the others' values are dropped."""
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
        # Said of a kernel with one input channel, whose layout is the same in either order of its strides.
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
    """The sum over all processes; a gradient by it is a gradient by each process's summand."""

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
    """Return the sum over all processes, through which gradients flow."""
    total: Tensor = _SumOfAll.apply(value)
    return total


@contextmanager
def torchrun_world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started, for as long as the context lasts; `ALONE` without torchrun.

    Inside another such context it is that one's world: processes can meet only once in their life.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if dist.is_initialized():
        yield World(dist.get_rank(), size)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where NCCL sends objects from
    # torchrun keeps its store over a restart: without a prefix, processes would look for those that died.
    store, rank, _ = next(rendezvous("env://"))
    attempt = PrefixStore(f"fer_train/attempt-{os.environ.get(_RESTARTS, '0')}", store)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=attempt, rank=rank, world_size=size)
    try:
        yield World(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def is_first_process() -> bool:
    """Whether this process prints: torchrun's first, or the only one; known before they have met."""
    return os.environ.get("RANK", "0") == "0"


def local_device(name: str) -> str:
    """Return the device of this process: under torchrun "auto" and "cuda" mean the GPU of the local rank."""
    if "LOCAL_RANK" in os.environ and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


def was_restarted() -> bool:
    """Whether torchrun started this process anew after one of them died."""
    return int(os.environ.get(_RESTARTS, "0")) > 0
