"""The flags and the help of each command, a module each; the work is in `fer_train.cli` and imported when it runs."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from fer_train import signals
from fer_train.errors import MissingDependencyError


def body(command: str) -> Callable[..., None]:
    """Import the work of a command, and PyTorch with it, and return it.

    Args:
        command: its name, which is that of the module in `fer_train.cli` and of the function in it.

    Raises:
        MissingDependencyError: a package is absent.
    """
    # Before torch is loaded: threads that wait spin by default, and starve each other where others use the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        run: Callable[..., Any] = getattr(import_module(f"fer_train.cli.{command}"), command)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"fer-train {command} needs {err.name}. Fix: make setup, or pip install 'fer-toolchain[train]'"
        ) from err
    signals.working()
    return run
