"""Energy that a workload takes, from the counters of the CPU packages (RAPL) and of the GPUs (NVML)."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from fer_deploy.bench.windows import SystemClock, Window, Workload

_POWERCAP: Final = Path("/sys/class/powercap")
_PACKAGE: Final = "package"
"""Start of the name of a CPU package's zone. Another zone, "psys", is the whole board, and has the packages in it."""


@dataclass(frozen=True)
class Counter:
    """A counter of energy.

    Attributes:
        read: returns joules.
        wraps_at: joules at which it starts again at 0; None: it does not.
    """

    read: Callable[[], float]
    wraps_at: float | None = None

    def difference(self, before: float, after: float) -> float | None:
        """Return the joules between two readings; None: it was set back.

        A counter that starts again twice between them is not noticed. RAPL starts again after many minutes.
        """
        if after >= before:
            return after - before
        return None if self.wraps_at is None else after + self.wraps_at - before


@dataclass(frozen=True)
class EnergyMeter:
    """Reads the energy counters of this machine.

    Attributes:
        source: "RAPL", "NVML" or "RAPL and NVML"; empty if there is no counter.
        why_not: why there is none, for the report.
    """

    source: str
    why_not: str
    _counters: tuple[Counter, ...] = ()

    @classmethod
    def of_this_machine(cls, powercap: Path = _POWERCAP) -> Self:
        """Return a meter of the CPU packages and the GPUs whose counters this user may read."""
        rapl, why_no_rapl = _rapl_counters(powercap)
        nvml, why_no_nvml = _nvml_counters()
        found = [name for name, counters in (("RAPL", rapl), ("NVML", nvml)) if counters]
        return cls(" and ".join(found), "" if found else f"{why_no_rapl}; {why_no_nvml}", (*rapl, *nvml))

    @property
    def in_words(self) -> str:
        """The source of the numbers, or why there are none."""
        return f"read from {self.source}" if self.source else f"not readable here: {self.why_not}"

    def joules_of(self, work: Callable[[], object]) -> float | None:
        """Run `work` and return the energy that the whole machine took meanwhile; None without a counter."""
        if not self._counters:
            work()
            return None
        before = _readings(self._counters)
        work()
        after = _readings(self._counters)
        if before is None or after is None:
            return None
        taken = [one.difference(*pair) for one, *pair in zip(self._counters, before, after, strict=True)]
        known = [joules for joules in taken if joules is not None]
        return sum(known) if len(known) == len(taken) else None

    def joules_per_item(self, workload: Workload, seconds: float) -> float | None:
        """Run a workload for about `seconds` and return the energy of the whole machine for one item, such as a face.

        None: no counter can be read.
        """
        if not self.source:
            return None
        windows: list[Window] = []
        joules = self.joules_of(lambda: windows.append(workload.window(seconds, SystemClock())))
        return None if joules is None else joules / (windows[0].num_items + workload.num_untimed)


def _readings(counters: Sequence[Counter]) -> list[float] | None:
    try:
        return [one.read() for one in counters]
    except (OSError, ValueError):  # the permission was taken away meanwhile
        return None


def _rapl_counters(powercap: Path) -> tuple[tuple[Counter, ...], str]:
    """Return a counter for each CPU package. Zones within a package (":0:0") are part of it."""
    zones = [zone for zone in sorted(powercap.glob("*-rapl:[0-9]*")) if zone.name.count(":") == 1]
    try:
        found = tuple(_rapl_counter(zone) for zone in zones if _is_package(zone))
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        return (), f"RAPL cannot be read ({reason}). Fix: sudo chmod o+r {powercap}/*-rapl:*/energy_uj"
    return found, "" if found else f"no RAPL counter in {powercap}"


def _is_package(zone: Path) -> bool:
    name = zone / "name"
    return not name.exists() or name.read_text().startswith(_PACKAGE)


def _rapl_counter(zone: Path) -> Counter:
    energy, largest = zone / "energy_uj", zone / "max_energy_range_uj"
    int(energy.read_text())
    wraps_at = int(largest.read_text()) / 1e6 if largest.exists() else None
    return Counter(lambda: int(energy.read_text()) / 1e6, wraps_at)


def _nvml_counters() -> tuple[tuple[Counter, ...], str]:
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
            readers.append(Counter(_nvml_reader(nvml, device)))
        for reader in readers:
            reader.read()
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
