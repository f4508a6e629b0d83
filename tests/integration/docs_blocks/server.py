"""The fork server of the documentation's blocks: `server.py SOCKET OWNER` imports what any command needs.

The networks that its programs build are narrow: a stand-in that is trained, exported and verified in a second or two.
What measures them has short windows.
"""

import io
import os
import pkgutil
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from importlib import import_module

from fork_server.server import listen

NARROW_CHANNELS = (8, 8, 16, 16)


def shorten_bench() -> None:
    """Let `run_bench` measure a few calls in each window, small batches, and ONNX Runtime alone."""
    import_module("fer_deploy.bench.candidates").RUNTIMES.pop("openvino", None)
    outcome, windows = import_module("fer_deploy.bench.outcome"), import_module("fer_deploy.bench.windows")
    short = windows.WindowPlan(window_s=0.01, warm_up_s=0.0, most=3, settle_s=0.0)
    windows_of = dict.fromkeys(("single", "batches", "pairs", "threads"), short)
    outcome.BRIEF = replace(outcome.BRIEF, **windows_of, num_faces=16, most_batch=8)
    outcome.USUAL = replace(outcome.USUAL, **windows_of, num_faces=16, most_batch=8, server_s=0.1)


def shorten_export() -> None:
    """Let the export rank the layers for INT8 by few faces; all faces judge the result, as usual."""
    import_module("fer_deploy.export.int8.accuracy_control").NUM_FACES = 24


def export_once() -> None:
    """Fill the exporter's tables of operators, which takes it seconds, and keep what it would make again each time."""
    operators = import_module("onnxscript._framework_apis.torch_2_5")
    operators.get_torchlib_ops = cache(operators.get_torchlib_ops)
    torch = import_module("torch")
    import_module("tqdm").tqdm.monitor_interval = 0  # it would leave a thread
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).eval()
    with redirect_stdout(io.StringIO()):
        torch.onnx.export(network, (torch.zeros(1, 1, 8, 8),), dynamo=True)


def preload() -> None:
    """Import what the commands import, make the networks narrow, benches and exports short."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as fer-train does before it loads torch
    for package in ("fer_deploy.cli", "fer_train.cli"):
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            import_module(module.name)
    for name in (
        "onnxruntime",
        "matplotlib.pyplot",
        "onnxscript",
        "torch.onnx",
        "torch._dynamo",  # the first optimizer imports it
        "torch.distributed.run",
        "pyarrow.parquet",
        "fer_deploy.recognizer",
    ):
        import_module(name)
    for name in ("net", "senet"):
        import_module(f"fer_train.models.{name}").STAGE_CHANNELS = NARROW_CHANNELS
    import_module("fer_train.models.senet").SQUEEZE_RATIO = 4
    import_module("fer_train.models.nano").STAGE_CHANNELS = NARROW_CHANNELS[:3]
    shorten_bench()
    shorten_export()
    import_module("plain_figures").draw_plainly(dpi=40)
    export_once()


if __name__ == "__main__":
    preload()
    listen(*sys.argv[1:])
