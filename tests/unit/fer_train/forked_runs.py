"""Run as a script: the same runs alone and by two processes, and processes that fail. Arguments: OUT, DATA, CONFIG.

The processes are forked, with the environment that torchrun would give them. Prints
as JSON what each group of processes ended with.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypedDict

import torch
from unit.fer_train.parallel_cases import CASES
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config

import fer_train.models.net
import fer_train.models.senet
import fer_train.training.loop
from fer_train.cli import main as cli
from fer_train.data import read_faces
from fer_train.distributed import ALONE, torchrun_world

LIMIT_S = 120.0
CPU = torch.device("cpu")


class Ended(TypedDict):
    """Exit codes by rank (a negative signal where it was killed), and what each printed."""

    codes: list[int | None]
    printed: list[str]


def in_two_processes(work: Callable[[], object], log: Path) -> Ended:
    """Do the work in two processes, again if another program has taken their port in the meantime; see `_once`."""
    for _ in range(5):
        ended = _once(work, log)
        if not _is_port_taken(log):
            break
    return ended


def _is_port_taken(log: Path) -> bool:
    return any("EADDRINUSE" in path.read_text() for path in log.parent.glob(f"{log.name}.[01]"))


def _once(work: Callable[[], object], log: Path) -> Ended:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    pids = [_fork(work, rank, port, log) for rank in range(2)]
    codes: dict[int, int] = {}
    deadline = time.monotonic() + LIMIT_S
    while len(codes) < 2 and time.monotonic() < deadline and not _is_port_taken(log):
        for pid in set(pids) - codes.keys():
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    for pid in set(pids) - codes.keys():
        os.kill(pid, signal.SIGKILL)
    printed = [Path(f"{log}.{rank}").read_text() for rank in range(2)]
    return {"codes": [codes.get(pid) for pid in pids], "printed": printed}


def _fork(work: Callable[[], object], rank: int, port: int, log: Path) -> int:
    if pid := os.fork():
        return pid
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    printed = os.open(f"{log}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    if rank > 0:
        Path.replace = _refuse  # type: ignore[method-assign,assignment]  # how every file is written
    code = 1
    try:
        work()
        code = 0
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else int(err.code is not None)
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def rank() -> int:
    return int(os.environ["RANK"])


def _refuse(*_: object) -> NoReturn:
    raise AssertionError("another process than the first one writes")


def fit_all(out: Path) -> None:
    with torchrun_world(CPU) as world:
        for name, changes in CASES.items():
            fer_train.training.loop.fit(tiny_config(**changes), make_faces(), out / name, world=world)


def fit_with_dropout(out: Path) -> None:
    """Train twice, and once more with a stop after the first epoch; keep the masks of every step."""
    masks: list[torch.Tensor] = []
    step = fer_train.training.loop.train_step

    def watched_step(
        run: fer_train.training.loop.Run, batch: fer_train.training.loop.Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dropout = run.model.get_submodule("dropout")
        hook = dropout.register_forward_hook(lambda _, given, kept: masks.append((kept == 0) & (given[0] != 0)))
        try:
            return step(run, batch)
        finally:
            hook.remove()

    def stop(_: object) -> NoReturn:
        raise KeyboardInterrupt

    fer_train.training.loop.train_step = watched_step
    config, faces = tiny_config(dropout=0.5, num_epochs=2), make_faces()
    with torchrun_world(CPU) as world:
        for name in ("once", "again"):
            fer_train.training.loop.fit(config, faces, out / name, world=world)
        with contextlib.suppress(KeyboardInterrupt):
            fer_train.training.loop.fit(config, faces, out / "resumed", world=world, on_epoch=stop)
        torch.distributed.barrier()  # the first process has written by then
        fer_train.training.loop.fit(config, faces, out / "resumed", world=world, resume=True)
        torch.save(masks, out.with_name(f"masks.{world.rank}"))


def fail_on_the_second(out: Path) -> None:
    step = fer_train.training.loop.train_step

    def failing_step(
        run: fer_train.training.loop.Run, batch: fer_train.training.loop.Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if run.world.rank == 1 and run.epoch == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")
        return step(run, batch)

    fer_train.training.loop.train_step = failing_step
    with torchrun_world(CPU) as world:
        fer_train.training.loop.fit(tiny_config(), make_faces(), out, world=world)


def main(out: Path, data: str, config: str) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    fer_train.models.net.STAGE_CHANNELS = NARROW_CHANNELS
    fer_train.models.senet.STAGE_CHANNELS = (16, 16, 16, 16)
    for name, changes in CASES.items():
        fer_train.training.loop.fit(tiny_config(**changes), make_faces(), out / "alone" / name, world=ALONE)
    read_faces(Path(data))  # writes the cache, which each process may: it is put in place as a whole
    common = ["train", "--config", config, "--data", data, "--no-tensorboard"]
    ended = {
        "cases": in_two_processes(lambda: fit_all(out / "shared"), out / "cases"),
        "dropout": in_two_processes(lambda: fit_with_dropout(out / "dropout"), out / "dropout-log"),
        "failing": in_two_processes(lambda: fail_on_the_second(out / "failing"), out / "failing-log"),
        "seeds": in_two_processes(
            lambda: cli([*common, "--out", str(out / "seeds"), "--seeds", "0,1"]), out / "seeds-log"
        ),
        "refused": in_two_processes(
            lambda: cli([*common, "--out", str(out / "qat"), "--device", "gpu"]), out / "refused-log"
        ),
    }
    ended |= {
        "different commands": in_two_processes(
            lambda: cli([*common, "--out", str(out / "different"), "--epochs", str(1 + rank())]), out / "different-log"
        ),
        "newer state elsewhere": in_two_processes(
            lambda: cli([*common, "--out", str(out / ("alone/net" if rank() else "fresh")), "--epochs", "3"]),
            out / "newer-log",
        ),
    }
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
