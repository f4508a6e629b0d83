"""Versions of the packages that the results of an analysis depend on."""

import platform
from importlib import metadata
from typing import Final

_PACKAGES: Final = (
    *("numpy", "opencv-python", "opencv-python-headless", "av", "pillow", "lapx", "pyarrow"),
    *("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx"),
)


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages, by their name."""
    return {"python": platform.python_version()} | {
        name: version for name in _PACKAGES if (version := _version(name)) is not None
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
