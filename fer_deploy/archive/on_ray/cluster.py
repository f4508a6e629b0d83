"""connected: attach this process to a Ray cluster, or start one on this machine. Nothing leaves the machines for it."""

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Final

from fer_deploy.errors import ConfigError, EngineError, MissingDependencyError

LOCAL: Final = "local"
AUTO: Final = "auto"
_OFF: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # it would send the working folder to the nodes
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns; `pool` hides the GPUs itself
}
for _name, _value in _OFF.items():
    os.environ[_name] = _value  # Ray reads some of them when it is imported
try:
    import ray
except ModuleNotFoundError as _err:
    raise MissingDependencyError(
        "--ray needs ray, which is not installed. Fix: pip install 'fer-toolchain[cpu,ray]'"
    ) from _err

_OBJECT_STORE_BYTES: Final = 80 * 2**20
"""The least that Ray takes: no frame and no table goes through its object store."""
_CONNECT_S: Final = 5.0
_HOW: Final = (
    "Fix: ray start --head --disable-usage-stats, or ray start --address HEAD:6379, on this machine; or --ray local "
    "for this machine alone"
)


@contextmanager
def connected(address: str, *, num_cpus: int | None = None) -> Iterator[None]:
    """Use a cluster in this block. Signal handlers stay those of this program.

    What is printed to standard output in the block is not shown: Ray prints a page about every process that dies.

    Args:
        address: auto, for the cluster of this machine; HOST:PORT, of the head; or local, for a new one that ends with
            the block.
        num_cpus: of a local one; None: the machine's.

    Raises:
        ConfigError: the address is none that can be used.
        EngineError: there is no cluster, it is one of another version, or none can be started.
    """
    _check_address(address)
    temporary = tempfile.mkdtemp(prefix="fer-ray-") if address == LOCAL else None
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            with _signals_kept():
                _init(address, num_cpus, temporary)
            yield
    finally:
        with suppress(Exception), _signals_kept():
            ray.shutdown()
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _init(address: str, num_cpus: int | None, temporary: str | None) -> None:
    common = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if address == LOCAL:
            ray.init(
                address=LOCAL,
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=temporary,
                **common,
            )
        else:
            ray.init(address=address, **common)
    except ConnectionError as err:
        raise EngineError(f"--ray {address}: no Ray cluster runs on this machine. {_HOW}") from err
    except (RuntimeError, ValueError, OSError) as err:
        raise EngineError(_why_not(address, str(err))) from err


def _why_not(address: str, text: str) -> str:
    """Return Ray's message as ours."""
    text = " ".join(text.split())
    if "Version mismatch" in text or "version mismatch" in text:
        return f"--ray {address}: {text}. Fix: the same Python and the same ray=={ray.__version__} on all machines"
    if "raylet" in text or "node" in text.lower():
        return (
            f"--ray {address}: this machine is no node of that cluster ({text}). Fix: run the command on a node, such "
            f"as the head; or ray start --address {address} here"
        )
    return f"--ray {address}: Ray cannot be used: {text}. {_HOW}"


def _check_address(address: str) -> None:
    if address in (LOCAL, AUTO):
        return
    if address.startswith("ray://"):
        raise ConfigError(
            f"--ray {address}: Ray Client is not supported. Fix: run the command on a node of the cluster with --ray "
            "auto, or send it there: ray job submit -- fer-deploy archive run URL --ray auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(f"--ray is {address}, expected auto, local or HOST:PORT. Fix: --ray {address or 'HEAD'}:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as err:
        raise EngineError(f"--ray {address}: nothing answers there ({err.strerror or err}). {_HOW}") from err


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore the handlers that Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
