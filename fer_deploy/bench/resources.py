"""What a run takes beside time: memory, energy, and how long a fresh process needs to its first result."""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from fer_deploy.errors import EngineError

_STATUS: Final = Path("/proc/self/statm")
_POWERCAP: Final = Path("/sys/class/powercap")
_COLD_LIMIT_S: Final = 120.0
_COLD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fer_deploy.bench.cold_process import main; main(json.loads(sys.argv[2]))"
)


def rss_bytes(status: Path = _STATUS) -> int | None:
    """Return the resident memory of this process; None where /proc is not there."""
    try:
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


@dataclass(frozen=True)
class ColdStart:
    """A fresh process that loads one engine.

    Attributes:
        import_ms: from the start of the process's program to the loaded runtime, without Python's own start.
        load_ms: opening the model, with its checks and warm-up.
        first_ms: the first call on a batch of one.
        total_ms: from the start of the process to the first result, as seen from outside.
        rss_bytes: memory after the first result; `import_rss_bytes` before the model was loaded. None: not known here.
    """

    import_ms: float
    load_ms: float
    first_ms: float
    total_ms: float
    rss_bytes: int | None
    import_rss_bytes: int | None


def cold_start(orders: Mapping[str, Any]) -> ColdStart:
    """Open an engine in a fresh process and run it once; see `cold_process` for the orders.

    Raises:
        EngineError: the process crashed, took longer than two minutes, or could not open the engine.
    """
    command = [sys.executable, "-P", "-c", _COLD, json.dumps(sys.path), json.dumps(dict(orders))]
    started = time.perf_counter()
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_COLD_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as err:
        raise EngineError(f"its first result took longer than {_COLD_LIMIT_S:g} s. Fix: export it again") from err
    total_ms = 1e3 * (time.perf_counter() - started)
    lines = ended.stdout.splitlines()
    if ended.returncode != 0 or not lines:
        last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise EngineError(f"a process that opens it ended with exit code {ended.returncode}: {last[:300]}")
    found = json.loads(lines[-1])
    if "error" in found:
        raise EngineError(found["error"])
    return ColdStart(total_ms=total_ms, **found)


@dataclass(frozen=True)
class EnergyMeter:
    """Reads the energy counters of this machine.

    Attributes:
        source: "RAPL", "NVML" or "RAPL and NVML"; empty if there is no counter.
        why_not: why there is none, for the report.
    """

    source: str
    why_not: str
    _counters: tuple[Callable[[], float], ...] = ()

    @classmethod
    def of_this_machine(cls, powercap: Path = _POWERCAP) -> Self:
        """Return a meter of the CPU packages and the GPUs whose counters this user may read."""
        rapl, why_no_rapl = _rapl_counters(powercap)
        nvml, why_no_nvml = _nvml_counters()
        found = [name for name, counters in (("RAPL", rapl), ("NVML", nvml)) if counters]
        return cls(" and ".join(found), "" if found else f"{why_no_rapl}; {why_no_nvml}", (*rapl, *nvml))

    def joules_of(self, work: Callable[[], object]) -> float | None:
        """Run `work` and return the energy that the whole machine took meanwhile; None without a counter."""
        before = [read() for read in self._counters]
        work()
        after = [read() for read in self._counters]
        if not self._counters or any(late < early for early, late in zip(before, after, strict=True)):
            return None  # a counter of RAPL starts again after hours
        return sum(after) - sum(before)


def _rapl_counters(powercap: Path) -> tuple[tuple[Callable[[], float], ...], str]:
    """Return a reader for each CPU package. Zones within a package (":0:0") are part of it."""
    zones = sorted(powercap.glob("*-rapl:[0-9]*"))
    packages = [zone / "energy_uj" for zone in zones if zone.name.count(":") == 1]
    if not packages:
        return (), f"no RAPL counter in {powercap}"
    try:
        for package in packages:
            int(package.read_text())
    except (OSError, ValueError) as err:
        return (), f"RAPL cannot be read ({getattr(err, 'strerror', None) or err})"
    return tuple((lambda file=package: int(file.read_text()) / 1e6) for package in packages), ""


def _nvml_counters() -> tuple[tuple[Callable[[], float], ...], str]:
    """Return a reader for each GPU that counts its energy (Volta and newer)."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        num = ctypes.c_uint(0)
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(num)):
            return (), "NVML does not answer"
        readers = []
        for index in range(num.value):
            device = ctypes.c_void_p()
            if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)):
                return (), "NVML does not answer"
            readers.append(_nvml_reader(nvml, device))
        for read in readers:
            read()
    except (OSError, AttributeError) as err:
        return (), f"no NVML ({err})" if isinstance(err, AttributeError) else "no NVML"
    return tuple(readers), "" if readers else "NVML lists no GPU"


def _nvml_reader(nvml: Any, device: ctypes.c_void_p) -> Callable[[], float]:
    def read() -> float:
        millijoules = ctypes.c_ulonglong(0)
        if nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)):
            raise OSError("NVML does not count energy on this GPU")
        return millijoules.value / 1e3

    return read
