"""Data-parallel training under torchrun: rank, share of a batch, sums over all processes, global batch norm.

Every process holds the whole data set (66 MB) and draws the same random numbers; only the network's work is split.
With gloo on the CPU or NCCL on GPUs, n processes produce the same weights as one process with the same batch size, up
to rounding, if the network itself draws nothing (dropout 0).

With dropout (and the stochastic depth of EfficientNet) each process draws its own masks, from a seed that depends on
run, epoch and rank, so no two processes drop the same features. The same number of processes reproduces the same
weights, also after a resume; another number of processes produces other weights of the same distribution.

The first process alone reads and writes the folder of the run; the others receive from it what they need.
"""

from fer_train.distributed.batch_norm import GlobalBatchNorm2d
from fer_train.distributed.joining import job_name, torchrun_world, was_restarted
from fer_train.distributed.world import ALONE, World, is_first_process, local_device

__all__ = [
    "ALONE",
    "GlobalBatchNorm2d",
    "World",
    "is_first_process",
    "job_name",
    "local_device",
    "torchrun_world",
    "was_restarted",
]
