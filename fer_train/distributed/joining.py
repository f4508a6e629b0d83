"""Join the processes that torchrun started, on one machine or several."""

import contextlib
import fcntl
import logging
import os
import socket
import struct
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from fer_train.distributed.world import ALONE, World, is_first_process
from fer_train.errors import ConfigError

_log = logging.getLogger(__name__)

MEETING_LIMIT_S = 300.0
"""Time that the processes of a round may need until the last one has arrived: the slowest node imports PyTorch."""
_PAUSE_S = 0.02
_RESTARTS, _JOB = "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID"
"""Environment variables of torchrun: its restarts after failures, and --rdzv-id."""
_NO_JOB = "none"
"""torchrun's --rdzv-id where none was given."""
_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of an interface."""


@contextmanager
def torchrun_world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started while the context is open; yield `ALONE` without torchrun.

    A nested context yields the world of the outer one: a process group can be initialized only once.

    Raises:
        ConfigError: the others did not come.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if dist.is_initialized():
        yield World(dist.get_rank(), size)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # NCCL sends objects from this device
    else:
        _name_interface()
    warn_of_shared_store()
    store, rank, _ = next(rendezvous("env://"))
    own = met(store, rank, size)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=own, rank=rank, world_size=size)
    try:
        yield World(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def warn_of_shared_store() -> None:
    """Say that nodes cannot come back: torchrun tells a node that joins later no address, if it shares its store."""
    is_elastic = job_name() is not None and int(os.environ.get("GROUP_WORLD_SIZE", "1")) > 1
    if is_elastic and is_first_process() and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        _log.warning(
            "a node that joins this run later, or comes back, will not be told where to connect. "
            "Fix: TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in the environment of torchrun, on every node"
        )


def met(store: Store, rank: int, size: int, *, limit_s: float = MEETING_LIMIT_S) -> Store:
    """Return a part of the store that only the living processes of this round know.

    torchrun keeps its store, and what dead processes wrote there, when workers are started again. Its count of
    restarts does not tell the rounds apart: a node that comes back begins at 0, and one that joins is not counted.
    Therefore the first process names the round, and answers each of the others until all have heard it.

    Args:
        store: shared by all processes.
        rank: of this process.
        size: number of processes.
        limit_s: time until all must have come.

    Raises:
        ConfigError: a process did not come, or the first one did not answer.
    """
    me = uuid.uuid4().hex
    part = f"fer_train/{me}"
    if rank == 0:
        _wait_for_all(store, part, size, limit_s)
        return PrefixStore(part, store)
    store.set(f"fer_train/here/{rank}", me)
    try:
        store.wait([f"fer_train/answer/{me}"], timedelta(seconds=limit_s))
    except dist.DistError as err:
        raise ConfigError(_missing("process 0", limit_s)) from err
    part = store.get(f"fer_train/answer/{me}").decode()
    store.set(f"{part}/heard/{rank}", "")
    return PrefixStore(part, store)


def _wait_for_all(store: Store, part: str, size: int, limit_s: float) -> None:
    waiting, deadline = set(range(1, size)), time.monotonic() + limit_s
    while waiting:
        for rank in waiting:
            if store.check([f"fer_train/here/{rank}"]):  # perhaps of a dead process, which will not have heard it
                store.set(f"fer_train/answer/{store.get(f'fer_train/here/{rank}').decode()}", part)
        waiting = {rank for rank in waiting if not store.check([f"{part}/heard/{rank}"])}
        if waiting and time.monotonic() > deadline:
            raise ConfigError(_missing(f"process {min(waiting)}", limit_s))
        time.sleep(_PAUSE_S)


def _missing(who: str, limit_s: float) -> str:
    return (
        f"{who} of {os.environ.get('WORLD_SIZE', 'several')} was not met within {limit_s:g} s at "
        f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}. Fix: --local-addr with an address of each "
        "node that the others reach; and if nodes come and go, TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun"
    )


def _name_interface() -> None:
    """Tell gloo the network towards the first node: by itself it takes that of the host's name, often loopback."""
    if int(os.environ.get("GROUP_WORLD_SIZE", "1")) > 1 and "GLOO_SOCKET_IFNAME" not in os.environ:
        name = interface_towards(os.environ["MASTER_ADDR"])
        if name is not None:
            os.environ["GLOO_SOCKET_IFNAME"] = name


def interface_towards(host: str) -> str | None:
    """Return the name of the network interface from which packets to a host leave; for an own address, its interface.

    None if it is not known: another system than Linux, no IPv4, or a name that does not resolve.
    """
    if sys.platform != "linux":
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((host, 9))  # sends nothing
        own = socket.inet_aton(probe.getsockname()[0])
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an IPv4 address
                found = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()))
                if found[20:24] == own:
                    return name
    return None


def job_name() -> str | None:
    """Return torchrun's --rdzv-id, which stays when nodes come and go; None without torchrun or without that option."""
    name = os.environ.get(_JOB, _NO_JOB)
    return None if name == _NO_JOB else name


def was_restarted() -> bool:
    """Return whether torchrun restarted this process after one of its node's processes had failed."""
    return int(os.environ.get(_RESTARTS, "0")) > 0
