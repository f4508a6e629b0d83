"""The one place of the build side that imports TensorRT, of either flavor."""

from importlib import import_module
from typing import Any

from fer_deploy.errors import MissingDependencyError
from fer_deploy.flavors import Flavor


def load_tensorrt(flavor: Flavor) -> Any:
    """Return the module of a flavor: one Python API under two names.

    Raises:
        MissingDependencyError: not installed, or a library that it links is missing.
    """
    mend = f"Fix: pip install 'fer-toolchain[{flavor.extra}]'"
    try:
        return import_module(flavor.module)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"the flavor {flavor.extra} needs the package {err.name}, which is not installed. {mend}"
        ) from err
    except ImportError as err:
        raise MissingDependencyError(f"{flavor.display_name} is installed, but does not load: {err}. {mend}") from err
