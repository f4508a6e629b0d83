"""World: the processes of one run, and what they say to each other."""

import os
import socket
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fer_train.distributed.batch_norm import GlobalBatchNorm2d
from fer_train.errors import ConfigError, FerTrainError

T = TypeVar("T")

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

    def first_result(self, call: Callable[[], T]) -> T:
        """Return what `call` returns in the first process; the others do not call it.

        Its values must be on the CPU: another process has another device.

        Raises:
            FerTrainError: the first process raised it; then every process does.
        """
        result, error = None, None
        if self.is_first:
            try:
                result = call()
            except FerTrainError as err:
                error = err
        found: T
        found, error = self.from_first((result, error))
        if error is not None:
            raise error
        return found

    def gathered(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def require_same(self, values: Mapping[str, Any]) -> None:
        """Check that every process has the same values.

        Args:
            values: plain, by name; small.

        Raises:
            ConfigError: they differ, as when nodes were started with different commands. Every process raises it.
        """
        (first_host, wanted), *others = self.gathered((socket.gethostname(), dict(values)))
        for rank, (host, found) in enumerate(others, start=1):
            different = [name for name in wanted if found.get(name) != wanted[name]]
            if different:
                name = different[0]
                raise ConfigError(
                    f"{', '.join(different)} differ between the processes: process 0 on {first_host} has {name} "
                    f"{wanted[name]}, process {rank} on {host} has {found.get(name)}. "
                    "Fix: the same command with the same files on every node"
                )

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


def is_first_process() -> bool:
    """Return whether this process prints: torchrun's first, or the only one. Works before the processes joined."""
    return os.environ.get("RANK", "0") == "0"


def local_device(name: str) -> str:
    """Return the device of this process: under torchrun "auto" and "cuda" mean the GPU of the local rank."""
    if "LOCAL_RANK" in os.environ and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name
