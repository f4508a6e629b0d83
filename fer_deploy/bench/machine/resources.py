"""What a run takes beside time: memory, and how long a fresh process needs to its first result."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fer_deploy.errors import EngineError

_STATUS: Final = Path("/proc/self/statm")
_COLD_LIMIT_S: Final = 120.0
_COLD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fer_deploy.bench.processes.cold import main; main(json.loads(sys.argv[2]))"
)


def rss_bytes(status: Path = _STATUS) -> int | None:
    """Return the resident memory of this process; None where /proc is not there."""
    try:
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


@dataclass(frozen=True)
class ColdStart:
    """A fresh process that loads one engine.

    Attributes:
        import_ms: from the start of the process's program to the loaded runtime, without Python's own start.
        load_ms: opening the model, with its checks and warm-up.
        first_ms: the first call on a batch of one.
        total_ms: from the start of the process to the first result, as seen from outside.
        rss_bytes: memory after the first result; `import_rss_bytes` before the model was loaded. None: not known here.
    """

    import_ms: float
    load_ms: float
    first_ms: float
    total_ms: float
    rss_bytes: int | None
    import_rss_bytes: int | None


def cold_start(orders: Mapping[str, Any]) -> ColdStart:
    """Open an engine in a fresh process and run it once; see `processes.cold` for the orders.

    Raises:
        EngineError: the process crashed, took longer than two minutes, or could not open the engine.
    """
    command = [sys.executable, "-P", "-c", _COLD, json.dumps(sys.path), json.dumps(dict(orders))]
    started = time.perf_counter()
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_COLD_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as err:
        raise EngineError(f"its first result took longer than {_COLD_LIMIT_S:g} s. Fix: export it again") from err
    total_ms = 1e3 * (time.perf_counter() - started)
    lines = ended.stdout.splitlines()
    if ended.returncode != 0 or not lines:
        last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise EngineError(f"a process that opens it ended with exit code {ended.returncode}: {last[:300]}")
    found = json.loads(lines[-1])
    if "error" in found:
        raise EngineError(found["error"])
    return ColdStart(total_ms=total_ms, **found)
