"""Which of the models that ship with the package runs best here: INT8 on a CPU that multiplies integers, else FP16."""

from pathlib import Path

from fer_deploy.artifacts import Family, bundled_model
from fer_deploy.engines.base import Device
from fer_deploy.engines.onnxruntime.device import choose_device
from fer_deploy.spec import Precision

_CPU_INFO = Path("/proc/cpuinfo")
_INTEGER_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""Flags of x86 and ARM. Without them INT8 is no faster, and on x86 its sums may saturate (says ONNX Runtime).
FP16 is computed in FP32 on a CPU, at its speed, and half as large a file."""


def bundled_model_for(device: Device, family: Family = "ferplus", *, cpu_info: Path = _CPU_INFO) -> Path:
    """Return the path of the family's bundled model for a device; "auto" as the engine understands it.

    Raises:
        ArtifactError: the installation lacks it.
    """
    on_cpu = device in ("cpu", "auto") and choose_device(device) == "cpu"
    is_int8 = on_cpu and has_integer_products(cpu_info)
    return bundled_model(Precision.INT8 if is_int8 else Precision.FP16, family)


def has_integer_products(cpu_info: Path = _CPU_INFO) -> bool:
    """Return whether the CPU says that it has such instructions; where nothing is known, it has none."""
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:  # no Linux
        return False
    flags = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
    return not _INTEGER_PRODUCTS.isdisjoint(next(flags, ()))
