"""Started by torchrun as `python -m fer_train` is, with narrow models; it stops where told until it is killed.

FER_TEST_PAUSES: JSON, a list of {"epoch", "rank", "size", "marker"}: in the second step of this epoch the process of
this rank in a world of this size writes the file `marker` and waits for ever, unless the file is there already.
"""

import json
import os
import runpy
import time
from pathlib import Path

import torch
from unit.fer_train.synthetic_faces import NARROW_CHANNELS

import fer_train.models.net
import fer_train.training.loop
from fer_train.data.loader import Batch
from fer_train.training.run import Run

torch.set_num_threads(1)
fer_train.models.net.STAGE_CHANNELS = NARROW_CHANNELS
train_step = fer_train.training.loop.train_step
pauses = json.loads(os.environ["FER_TEST_PAUSES"])
steps: list[int] = []


def step_or_pause(run: Run, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    steps.append(run.epoch)
    here = (run.epoch, run.world.rank, run.world.size)
    for pause in pauses:
        marker = Path(pause["marker"])
        if here == (pause["epoch"], pause["rank"], pause["size"]) and steps.count(run.epoch) == 2:
            if marker.exists():
                continue
            marker.touch()
            while True:
                time.sleep(0.05)
    return train_step(run, batch)


fer_train.training.loop.train_step = step_or_pause
runpy.run_module("fer_train", run_name="__main__")
