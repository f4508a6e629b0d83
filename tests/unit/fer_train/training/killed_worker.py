"""Started by torchrun as `python -m fer_train` is, with narrow models; the second process is killed in epoch 2, once.

In its step 6 with SIGKILL, unless torchrun has restarted it.
"""

import os
import runpy
import signal

import torch
from unit.fer_train.synthetic_faces import NARROW_CHANNELS

import fer_train.models.net
import fer_train.training.loop
from fer_train.data.loader import Batch
from fer_train.distributed import was_restarted
from fer_train.training.run import Run

torch.set_num_threads(1)
fer_train.models.net.STAGE_CHANNELS = NARROW_CHANNELS
train_step = fer_train.training.loop.train_step
steps = []


def step_or_die(run: Run, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    steps.append(run.epoch)
    if len(steps) == 6 and run.world.rank == 1 and not was_restarted():
        os.kill(os.getpid(), signal.SIGKILL)
    return train_step(run, batch)


fer_train.training.loop.train_step = step_or_die
runpy.run_module("fer_train", run_name="__main__")
