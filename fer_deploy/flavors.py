"""The two flavors of TensorRT: one Python API under two module names. Imports neither."""

from enum import StrEnum


class Flavor(StrEnum):
    """The library that builds and runs a plan; plans of one flavor never load in the other."""

    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt_rtx"

    @property
    def module(self) -> str:
        """Name of the Python module."""
        return self.value

    @property
    def extra(self) -> str:
        """The pip extra that installs it."""
        return self.value.replace("_", "-")

    @property
    def display_name(self) -> str:
        """Name to show to users."""
        return "TensorRT for RTX" if self is Flavor.TENSORRT_RTX else "TensorRT"
