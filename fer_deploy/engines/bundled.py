"""Choose the fastest bundled model for this machine: INT8 on a CPU that multiplies integers faster, else FP16."""

from pathlib import Path

from fer_deploy.artifacts import Family, bundled_model
from fer_deploy.engines.base import Device
from fer_deploy.engines.cpu_flags import CPU_INFO, cpu_flags
from fer_deploy.engines.onnxruntime.device import choose_device
from fer_deploy.spec import Precision

_INTEGER_PRODUCTS = frozenset({"avx2", "avx512_vnni", "avx_vnni", "asimddp"})
"""CPU flags of x86 and ARM with which INT8 is faster. Measured on an EPYC with AVX2 alone, one thread, CPU time: 1.7
times as fast as FP16 with one face, 1.5 times with 32. A CPU computes FP16 in FP32: the same speed, half the file."""


def bundled_model_for(device: Device, family: Family = "ferplus", *, cpu_info: Path = CPU_INFO) -> Path:
    """Return the path of the family's bundled model for a device; "auto" is resolved as in the engine.

    Raises:
        ArtifactError: the file is missing from the installation.
    """
    on_cpu = device == "openvino" or (device in ("cpu", "auto") and choose_device(device) == "cpu")
    is_int8 = on_cpu and has_integer_products(cpu_info)
    return bundled_model(Precision.INT8 if is_int8 else Precision.FP16, family)


def has_integer_products(cpu_info: Path = CPU_INFO) -> bool:
    """Return whether the CPU reports instructions for integer products; False if unknown."""
    return not _INTEGER_PRODUCTS.isdisjoint(cpu_flags(cpu_info))
