"""The instructions that this machine's CPU reports for INT8."""

from pathlib import Path
from typing import Final

CPU_INFO: Final = Path("/proc/cpuinfo")
_VNNI: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def cpu_flags(cpu_info: Path = CPU_INFO) -> frozenset[str]:
    """Return the flags of the first core; empty if unknown, as on other systems than Linux."""
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next(found, ()))


def adds_exactly(cpu_info: Path = CPU_INFO) -> bool:
    """Return whether an x86 CPU adds INT8 products without overflow by itself; False if unknown."""
    return not _VNNI.isdisjoint(cpu_flags(cpu_info))
