"""The flags and the help of each command, a module each; the work is in `fer_deploy.cli` and imported when it runs."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from fer_deploy import signals
from fer_deploy.errors import MissingDependencyError

REGULAR_ENDS = ("live", "demo")
"""The commands that a signal ends regularly: exit code 0."""


def body(command: str, module: str | None = None) -> Callable[..., None]:
    """Import the work of a command and return it.

    Args:
        command: its name, and that of the function in the module, with _ in place of -.
        module: of `fer_deploy.cli`, where it has another name than the command.

    Raises:
        MissingDependencyError: a package or a system library is absent.
    """
    # As in fer-train, for the commands that load torch: threads that wait spin by default, and starve one another.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        run: Callable[..., Any] = getattr(import_module(f"fer_deploy.cli.{module or command}"), command)
    except ImportError as err:
        raise MissingDependencyError(
            f"cannot load the command {command}: {err}. Fix: pip install 'fer-toolchain[cpu]'; where a .so is "
            "missing: apt-get install libgl1 libglib2.0-0 libxcb1"
        ) from err
    signals.working(is_regular=command in REGULAR_ENDS)
    return run
