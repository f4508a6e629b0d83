"""Choose the fastest bundled model for this machine: INT8 on a CPU with integer products, else FP16."""

from pathlib import Path

from fer_deploy.artifacts import Family, bundled_model
from fer_deploy.engines.base import Device
from fer_deploy.engines.onnxruntime.device import choose_device
from fer_deploy.spec import Precision

_CPU_INFO = Path("/proc/cpuinfo")
_INTEGER_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""CPU flags of x86 and ARM. Without them INT8 is not faster, and on x86 its sums may saturate (source: ONNX Runtime). A
CPU computes FP16 in FP32, at the same speed, but the file has half the size."""


def bundled_model_for(device: Device, family: Family = "ferplus", *, cpu_info: Path = _CPU_INFO) -> Path:
    """Return the path of the family's bundled model for a device; "auto" is resolved as in the engine.

    Raises:
        ArtifactError: the file is missing from the installation.
    """
    on_cpu = device == "openvino" or (device in ("cpu", "auto") and choose_device(device) == "cpu")
    is_int8 = on_cpu and has_integer_products(cpu_info)
    return bundled_model(Precision.INT8 if is_int8 else Precision.FP16, family)


def has_integer_products(cpu_info: Path = _CPU_INFO) -> bool:
    """Return whether the CPU reports instructions for integer products; False if unknown."""
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:  # not Linux
        return False
    flags = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
    return not _INTEGER_PRODUCTS.isdisjoint(next(flags, ()))
