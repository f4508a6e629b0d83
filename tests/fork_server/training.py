"""The fork server of tests that train: `training.py SOCKET OWNER` imports what `fer-train train` and torchrun need."""

import os
import sys
from importlib import import_module

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as fer-train does before it loads torch

from fork_server.server import listen
from plain_figures import draw_plainly

for name in (
    "torch._dynamo",  # the first optimizer imports it
    "torch.distributed.run",
    "torch.utils.serialization",
    "matplotlib.backends.backend_agg",
    "fer_train.signals",
    "fer_train.cli.train",
    "fer_train.cli.flags.train",
    "unit.fer_train.synthetic_faces",
):
    import_module(name)

if __name__ == "__main__":
    draw_plainly(dpi=40)
    listen(*sys.argv[1:])
