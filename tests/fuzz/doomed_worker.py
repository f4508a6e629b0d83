"""A worker whose cases crash, hang or take all memory by themselves: does the campaign notice, and go on?"""

import os
import signal
import time
from pathlib import Path
from typing import IO, Any

from fuzz import worker


def prepare(seed: int, folder: Path, reports: IO[str]) -> worker.Try:
    """Return what tries a case."""
    return try_case


def try_case(number: int) -> dict[str, Any]:
    """Do what the number says."""
    faults: list[str] = []
    match number:
        case 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        case 3:
            while True:
                pass
        case 5:
            time.sleep(600)
        case 2:
            try:
                bytearray(2 * worker.HEADROOM_BYTES)
            except MemoryError:
                faults.append("no memory")
    return {"kind": "onnx", "answers": {}, "faults": faults}


if __name__ == "__main__":
    worker.CPU_SECONDS = 2
    worker.main(prepare)
