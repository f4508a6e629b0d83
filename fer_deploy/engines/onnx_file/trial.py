"""Run an ONNX file for the first time in another process, which can be ended at any moment.

ONNX Runtime ends a run between two nodes, never inside of one, and hears no signal meanwhile. So a file whose work is
not known before it runs (`onnx_work`) is loaded and run there first. The system ends that process when its time is up,
and when a signal ends this one. A file whose sizes are all known, as all bundled models are, starts no process.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fer_deploy.errors import EngineError

LIMIT_S = 60.0
"""For all of a trial: start, loading and all batches. A ViT takes about two seconds."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fer_deploy.engines.onnx_file.trial_process import main; main(json.loads(sys.argv[2]))"
)


class Trial(NamedTuple):
    """What to try.

    Attributes:
        content: the bytes that will be loaded here if the trial ends well.
        path: their file, for messages.
        hidden: the first node whose sizes are not known, for messages.
        sizes: one run each, with this number in place of all free sizes of the inputs.
        threads: see `onnxruntime_session.SessionRequest`.
        optimized: see there.
    """

    content: bytes
    path: Path
    hidden: str
    sizes: Sequence[int]
    threads: int | None
    optimized: bool


def try_outside(trial: Trial, *, fix: str) -> None:
    """Return when the file was loaded and run in another process, on the CPU.

    Errors of ONNX Runtime are not reported: who loads the file next meets them and knows more about it.

    Raises:
        EngineError: it took too long, or its process was ended by the system or did not start; `fix` ends the message.
    """
    orders = {
        "limit_s": LIMIT_S,
        "sizes": list(trial.sizes),
        "threads": trial.threads,
        "optimized": trial.optimized,
    }
    command = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), json.dumps(orders)]
    try:
        ended = subprocess.run(  # kills the process on its way out, whatever is raised
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
            f"which was ended. Fix: {fix}"
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
