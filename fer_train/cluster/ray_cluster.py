"""connected: attach this process to a Ray cluster, or start one on this machine. Nothing leaves the machines for it.

Ray reads variables when it is imported, so `connected` sets them first. Import this module before any other use of Ray.
"""

import importlib
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Final

from fer_train.cluster.folder import cluster_folder
from fer_train.errors import ConfigError, FerTrainError, MissingDependencyError

LOCAL: Final = "local"
AUTO: Final = "auto"
_OFF: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",  # Ray reports even that they are off
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # it would send the working folder to the nodes
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # it would end this program on SIGTERM, with a page of C++
}
_HERE_ALONE: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
"""Of a local cluster, whatever the system: it listens on 127.0.0.1, and asks for a token that only this run has."""
_OBJECT_STORE_BYTES: Final = 80 * 2**20
"""The least that Ray takes: no frame and no table goes through its object store."""
_CONNECT_S: Final = 5.0
_HOW: Final = (
    "Fix: ray start --head --disable-usage-stats, or ray start --address HEAD:6379, on this machine; or --ray local "
    "for this machine alone"
)


@contextmanager
def connected(address: str, *, num_cpus: int | None = None) -> Iterator[dict[str, str]]:
    """Use a cluster in this block; yield variables that its workers need. Signal handlers stay those of this program.

    What is printed to standard output in the block is not shown: Ray prints a page about every process that dies.

    Args:
        address: auto, for the cluster of this machine; HOST:PORT, of the head; or local, for a new one that ends with
            the block.
        num_cpus: of a local one; None: the machine's.

    Raises:
        ConfigError: the address is invalid.
        MissingDependencyError: Ray is not installed.
        FerTrainError: there is no cluster, it is one of another version, or none can be started.
    """
    _check_address(address)
    variables = dict(_OFF)
    if address == LOCAL:
        variables |= _HERE_ALONE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    folder = cluster_folder() if address == LOCAL else nullcontext()
    with _environment(variables), open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), folder as where:
        ray = _imported()
        try:
            with _signals_kept():
                _init(ray, address, num_cpus, where)
            yield {} if where is None else {"HOME": str(Path.home())}
        finally:
            with suppress(Exception), _signals_kept():
                ray.shutdown()


def _imported() -> Any:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            "--ray needs ray, which is not installed. Fix: pip install 'fer-toolchain[train,ray]'"
        ) from err


def _init(ray: Any, address: str, num_cpus: int | None, folder: Path | None) -> None:
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if folder is not None:
        settings |= {
            "num_cpus": num_cpus,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
            "_temp_dir": str(folder),
        }
    try:
        with _environment({} if folder is None else {"HOME": str(folder)}):  # see `cluster_folder`
            ray.init(**settings)
    except ConnectionError as err:
        raise FerTrainError(f"--ray {address}: no Ray cluster runs on this machine. {_HOW}") from err
    except Exception as err:  # a node that does not start in time is a plain Exception
        raise FerTrainError(_why_not(address, str(err), ray.__version__)) from err


def _why_not(address: str, text: str, version: str) -> str:
    """Return Ray's message as ours."""
    text = " ".join(text.split()).rstrip(".")
    if address == LOCAL:
        return (
            f"--ray local: Ray does not start on this machine: {text}. Fix: try again when the machine is less busy, "
            "or leave --ray out: one machine does not need it"
        )
    if "version mismatch" in text.lower():
        return f"--ray {address}: {text}. Fix: the same Python and the same ray=={version} on all machines"
    if "token" in text:
        return f"--ray {address}: {text}. Fix: the token of the cluster's head in RAY_AUTH_TOKEN_PATH"
    if "node" in text.lower() or "raylet" in text:
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
            "auto, or send it there: ray job submit -- fer-train sweep --plan PLAN --data DATA --ray auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(f"--ray is {address}, expected auto, local or HOST:PORT. Fix: --ray {address or 'HEAD'}:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as err:
        raise FerTrainError(f"--ray {address}: nothing answers there ({err.strerror or err}). {_HOW}") from err


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the handlers of this program. Ray sets one that ends it with exit code 15, in the middle of Ray's start.

    Python lets the main thread alone set handlers, so no other thread is affected.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    set_handler = signal.signal
    signal.signal = lambda number, _: signal.getsignal(number)  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = set_handler
