"""Run as a script: runs that are killed with SIGKILL where told. Argument: JSON, a list of [OUT, config, WHERE].

WHERE is a number (the global step) or "save2" (half-way through writing the second last.pt). Each run is a fork,
because PyTorch takes seconds to import. Prints what each process ended with.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config

import fer_train.models.net
import fer_train.training.loop


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(out: Path, changes: dict[str, Any], where: str) -> None:
    save, saves = torch.save, []

    def save_half(state: object, path: Path) -> None:
        saves.append(path)
        save(state, path)
        if where == f"save{len(saves)}":
            os.truncate(path, path.stat().st_size // 2)
            die()

    torch.save = save_half
    fer_train.training.loop.fit(
        tiny_config(**changes), make_faces(), out, on_step=lambda step, *_: die() if str(step) == where else None
    )


def main(runs: list[tuple[str, dict[str, Any], str]]) -> None:
    torch.set_num_threads(1)
    fer_train.models.net.STAGE_CHANNELS = NARROW_CHANNELS
    fer_train.training.loop.STEPS_PER_CHECK = 1
    ended = []
    for out, changes, where in runs:
        pid = os.fork()
        if pid == 0:
            try:
                train(Path(out), changes, where)
            finally:
                os._exit(1)
        ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
