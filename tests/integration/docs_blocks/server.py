"""Start programs without their seconds of imports: a process that has torch and the packages loaded forks for each.

    python server.py SOCKET

`client.py` connects, sends its words, folder and environment with its three standard files, and gets one byte: the exit
code. A program is "fer-deploy", "fer-train", "torchrun" or "python". The parent computes next to nothing, and in one
thread: it has none to lose.
The networks that it builds are narrow: a stand-in that is trained, exported and verified in a second or two. What
measures them has short windows.
"""

import atexit
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

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


def program_of(words: list[str]) -> Callable[[], object]:
    """Return what runs the words; sets `sys.argv`."""
    program, *rest = (word for word in words if word != "-u")
    if program == "python" and rest[0] == "-m":
        sys.argv = rest[1:]
        return lambda: runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
    if program == "python":
        sys.argv = rest
        sys.path.insert(0, str(Path(rest[0]).resolve().parent))
        return lambda: runpy.run_path(rest[0], run_name="__main__")
    sys.argv = words
    if program == "torchrun":
        return import_module("torch.distributed.run").main
    return import_module(f"{program.replace('-', '_')}.__main__").main


def run(words: list[str]) -> int:
    """Return the exit code."""
    code = 1
    try:
        program_of(words)()
        code = 0
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else int(err.code is not None)
        if isinstance(err.code, str):
            sys.stderr.write(f"{err.code}\n")
    except BaseException:  # noqa: BLE001 - as Python itself ends
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve(connection: socket.socket) -> None:
    """Fork the program of one client, and answer with its exit code."""
    header, files, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(header, "big")))
    pid = os.fork()
    if pid == 0:
        connection.close()
        for standard, given in enumerate(files):
            os.dup2(given, standard)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        os._exit(run(request["words"]))
    ended = os.pidfd_open(pid)
    if ended not in select.select([connection, ended], [], [])[0]:  # the client was killed
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    with suppress(BrokenPipeError):
        connection.sendall(bytes([code if code >= 0 else 128 - code]))


def main(address: str) -> None:
    """Serve until the test ends this process."""
    preload()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children of `serve` need no farewell
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(connection)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
