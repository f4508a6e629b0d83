"""Run an ONNX file for the first time in another process, which can be killed at any moment.

ONNX Runtime stops a run only between two nodes, and handles no signal meanwhile. So a file whose work is not known
before it runs (see `work`) is first loaded and run in another process. The system kills this process at its time limit,
or when a signal ends the parent. A file with known sizes, like all bundled models, needs no process.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fer_deploy.errors import EngineError

LIMIT_S = 60.0
"""Limit of a whole trial: start, loading and all batches. A ViT takes about two seconds."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fer_deploy.engines.onnx_file.trial_process import main; main(json.loads(sys.argv[2]))"
)


class Trial(NamedTuple):
    """Arguments of a trial.

    Attributes:
        content: the bytes that this process will load if the trial succeeds.
        path: their file, for messages.
        hidden: the first node with unknown sizes, for messages.
        sizes: one run for each, with this number for all variable sizes of the inputs.
        threads: see `onnxruntime.session.SessionRequest`.
        optimized: see `SessionRequest`.
    """

    content: bytes
    path: Path
    hidden: str
    sizes: Sequence[int]
    threads: int | None
    optimized: bool


def try_outside(trial: Trial, *, fix: str) -> None:
    """Load and run the file in another process, on the CPU.

    Errors of ONNX Runtime are not reported here: loading the file in this process raises them again, with more context.

    Raises:
        EngineError: it took too long, its process was killed by the system, or did not start; `fix` ends the message.
    """
    orders = {
        "limit_s": LIMIT_S,
        "sizes": list(trial.sizes),
        "threads": trial.threads,
        "optimized": trial.optimized,
    }
    command = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), json.dumps(orders)]
    try:
        ended = subprocess.run(  # kills the process if anything is raised
            command,
            input=trial.content,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_S,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise EngineError(
            f"cannot use {trial.path}: loading it and running it once did not end within {LIMIT_S:g} s. How much it "
            f"computes is not known before it runs, because of {trial.hidden}, so it was tried in another process, "
            f"which was killed. Fix: {fix}"
        ) from err
    except OSError as err:
        raise EngineError(
            f"cannot use {trial.path}: how much it computes is not known before it runs, because of {trial.hidden}, "
            f"and no process starts to try it in ({err.strerror or err}). Fix: free memory and processes, or export a "
            "network whose sizes are fixed"
        ) from err
    if ended.returncode != 0:
        how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"exit code {ended.returncode}"
        raise EngineError(
            f"cannot use {trial.path}: the process in which it was tried ended with {how}, expected 0; it crashed "
            f"ONNX Runtime or took too much memory. Fix: {fix}"
        )
