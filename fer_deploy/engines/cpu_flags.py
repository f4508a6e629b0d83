"""The instructions that this machine's CPU reports for INT8."""

from pathlib import Path
from typing import Final

CPU_INFO: Final = Path("/proc/cpuinfo")
_AVX512: Final = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
"""With all of them ONNX Runtime multiplies integers with AVX-512, whatever else the CPU has."""


def cpu_flags(cpu_info: Path = CPU_INFO) -> frozenset[str]:
    """Return the flags of the first core; empty if unknown, as on other systems than Linux."""
    try:
        with cpu_info.open(errors="replace") as lines:  # with hundreds of cores the kernel takes long over the rest
            found = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
            return frozenset(next(found, ()))
    except OSError:
        return frozenset()


def adds_exactly(cpu_info: Path = CPU_INFO) -> bool:
    """Return whether ONNX Runtime adds INT8 products on this x86 CPU without overflow by itself; False if unknown.

    AMX alone decides nothing: some layers do not use it.
    """
    flags = cpu_flags(cpu_info)
    return ("avx512_vnni" if flags >= _AVX512 else "avx_vnni") in flags
