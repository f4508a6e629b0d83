"""Run as a script: train, and be killed with SIGKILL where told. Arguments: OUT, config as JSON, WHERE.

WHERE is a number (the global step) or "save2" (half-way through writing the second last.pt).
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config

import fer_train.loop
import fer_train.models.net


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(out: Path, config: str, where: str) -> None:
    torch.set_num_threads(1)
    fer_train.models.net.STAGE_CHANNELS = NARROW_CHANNELS
    fer_train.loop.STEPS_PER_CHECK = 1
    save, saves = torch.save, []

    def save_half(state: object, path: Path) -> None:
        saves.append(path)
        save(state, path)
        if where == f"save{len(saves)}":
            os.truncate(path, path.stat().st_size // 2)
            die()

    torch.save = save_half
    fer_train.loop.fit(
        tiny_config(**json.loads(config)),
        make_faces(),
        out,
        on_step=lambda step, *_: die() if str(step) == where else None,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
