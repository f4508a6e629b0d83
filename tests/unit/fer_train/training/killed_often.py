"""Run as a script: one run, killed with SIGKILL at random moments and resumed each time. Arguments: OUT, TIMES.

A moment is the n-th call that Python makes, in its own code or into C, counted from where `fit` begins: so each
line of the run can be hit, on a fast machine as on a slow one. In every other life only calls while a file is written
count. Each life is a fork. OUT/whole is the same run without any of that.
"""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config

import fer_train.checkpoint
import fer_train.files.durable
import fer_train.models.net
import fer_train.training.loop

CONFIG = tiny_config(num_epochs=24, batch_size=32, mix={"mixup_alpha": 0.4, "cutmix_alpha": 1.0})
FACES = make_faces()


class Calls:
    """Counts calls, and those that are made while a file is written; kills where a count is reached."""

    def __init__(self, *, die_at: int | None = None, while_writing: bool = False) -> None:
        self.all = self.writing = 0
        self._die_at, self._while_writing = die_at, while_writing
        self._is_writing = False
        write = fer_train.checkpoint.write_atomically

        def watched(path: Path, do: Callable[[Path], None]) -> None:
            self._is_writing = path.name != "config.yaml"
            write(path, do)
            self._is_writing = False

        fer_train.checkpoint.write_atomically = fer_train.files.durable.write_atomically = watched

    def __call__(self, frame: object, event: str, argument: object) -> None:
        if event not in ("call", "c_call"):
            return
        self.all += 1
        self.writing += self._is_writing
        if self._die_at == (self.writing if self._while_writing else self.all):
            os.kill(os.getpid(), signal.SIGKILL)


def live(out: Path, calls: Calls, on_epoch: fer_train.training.loop.OnEpoch = lambda _: None) -> None:
    sys.setprofile(calls)
    fer_train.training.loop.fit(CONFIG, FACES, out, resume=(out / "last.pt").exists(), on_epoch=on_epoch)
    sys.setprofile(None)


def in_fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count_calls(out: Path) -> list[list[int]]:
    """Make the undisturbed run; return after each epoch how many calls there were, in all and while writing."""
    counted = out / "calls.json"

    def work() -> None:
        calls, rows = Calls(), []
        live(out / "whole", calls, lambda _: rows.append([calls.all, calls.writing]))
        counted.write_text(json.dumps(rows))

    if in_fork(work):
        sys.exit("the undisturbed run failed")
    rows: list[list[int]] = json.loads(counted.read_text())
    return rows


def main(out: Path, times: int) -> None:
    torch.set_num_threads(1)
    fer_train.models.net.STAGE_CHANNELS = NARROW_CHANNELS
    fer_train.training.loop.fit(
        CONFIG.model_copy(update={"num_epochs": 1}), FACES, out / "warm"
    )  # imports what comes late
    _, limits, *_ = count_calls(out)  # a life ends before its second epoch does, and so before the run
    chance = random.Random(7)
    last, moments = out / "killed" / "last.pt", []
    for life in range(times):
        only_writing = life % 2 == 1
        moment = chance.randrange(1, limits[only_writing])
        calls = Calls(die_at=moment, while_writing=only_writing)
        ended = in_fork(lambda calls=calls: live(out / "killed", calls))  # type: ignore[misc]
        if ended != -signal.SIGKILL:
            sys.exit(f"life {life} ended with {ended}, not by its kill")
        epoch = fer_train.checkpoint.load_state(last)["epoch"] if last.exists() else 0
        half = any(last.parent.glob(".last.pt.*.tmp"))
        moments.append({"epoch": epoch, "last.pt half-written": half})
    if in_fork(lambda: live(out / "killed", Calls())):
        sys.exit("the last life failed")
    sys.stdout.write(json.dumps(moments))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
