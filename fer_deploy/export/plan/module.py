"""Import TensorRT, of either flavor; the only such place of the build side."""

from importlib import import_module
from typing import Any

from fer_deploy.errors import MissingDependencyError
from fer_deploy.flavors import Flavor


def load_tensorrt(flavor: Flavor) -> Any:
    """Return the module of a flavor; both have the same Python API.

    Raises:
        MissingDependencyError: the package is not installed, or a library that it links is missing.
    """
    fix = f"Fix: pip install 'fer-toolchain[{flavor.extra}]'"
    try:
        return import_module(flavor.module)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"the flavor {flavor.extra} needs the package {err.name}, which is not installed. {fix}"
        ) from err
    except ImportError as err:
        raise MissingDependencyError(f"{flavor.display_name} is installed, but does not load: {err}. {fix}") from err
