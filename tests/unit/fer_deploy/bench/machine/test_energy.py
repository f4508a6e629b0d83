import threading

import pytest

from fer_deploy.bench.machine import energy
from fer_deploy.bench.machine.energy import Counter, EnergyMeter
from fer_deploy.bench.windows import Repeated, Together


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    """Two packages; a part of the first, the board and the first again by another way must not count twice."""
    monkeypatch.setattr(energy, "_nvml_counters", lambda: ((), "no NVML"))
    zones = (("intel-rapl:0", "package-0", 1), ("intel-rapl:1", "package-1", 2), ("intel-rapl:0:0", "core", 5))
    for name, of, joules in (*zones, ("intel-rapl:2", "psys", 7), ("intel-rapl-mmio:0", "package-0", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(f"{of}\n")
        (tmp_path / name / "energy_uj").write_text(f"{joules * 10**6}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("10000000\n")
    return tmp_path


def test_energy_of_all_packages(powercap):
    meter = EnergyMeter.of_this_machine(powercap)

    def work():
        (powercap / "intel-rapl:0" / "energy_uj").write_text("4000000\n")
        (powercap / "intel-rapl:1" / "energy_uj").write_text("2500000\n")

    assert (meter.source, meter.why_not) == ("RAPL", "")
    assert meter.joules_of(work) == 3.5


def test_a_counter_that_starts_again_at_its_range(powercap):
    meter = EnergyMeter.of_this_machine(powercap)
    assert meter.joules_of(lambda: (powercap / "intel-rapl:1" / "energy_uj").write_text("500000\n")) == 8.5


def test_a_counter_that_starts_again_at_an_unknown_value_gives_no_number(powercap):
    (powercap / "intel-rapl:0" / "max_energy_range_uj").unlink()
    meter = EnergyMeter.of_this_machine(powercap)
    assert meter.joules_of(lambda: (powercap / "intel-rapl:0" / "energy_uj").write_text("5\n")) is None


def test_a_counter_that_is_taken_away_gives_no_number(powercap):
    meter = EnergyMeter.of_this_machine(powercap)
    assert meter.joules_of((powercap / "intel-rapl:0" / "energy_uj").unlink) is None


@pytest.mark.parametrize(("workload", "calls"), [(Repeated, 2), (lambda call: Together([call, call]), 4)])
def test_calls_that_are_not_timed_take_energy_too(powercap, workload, calls):
    file = powercap / "intel-rapl:0" / "energy_uj"
    lock = threading.Lock()

    def call():
        with lock:
            file.write_text(f"{int(file.read_text()) + 10**6}\n")

    meter = EnergyMeter.of_this_machine(powercap)
    assert meter.joules_per_item(workload(call), 0.0) == 1.0
    assert int(file.read_text()) == (1 + calls) * 10**6


def test_without_a_counter_the_reason_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "_nvml_counters", lambda: ((), "no NVML"))
    meter = EnergyMeter.of_this_machine(tmp_path)
    assert (meter.source, meter.joules_of(lambda: None)) == ("", None)
    assert meter.why_not == f"no RAPL counter in {tmp_path}; no NVML"
    assert meter.in_words == f"not readable here: {meter.why_not}"


def test_a_counter_that_cannot_be_read_is_a_reason(powercap):
    (powercap / "intel-rapl:1" / "energy_uj").write_text("secret")
    why = EnergyMeter.of_this_machine(powercap).why_not
    assert "RAPL cannot be read (invalid literal" in why
    assert f"Fix: sudo chmod o+r {powercap}/*-rapl:*/energy_uj" in why


def test_the_gpus_energy_counts_too(powercap, monkeypatch):
    readings = iter([100.0, 130.0])
    monkeypatch.setattr(energy, "_nvml_counters", lambda: ((Counter(lambda: next(readings)),), ""))
    meter = EnergyMeter.of_this_machine(powercap)
    assert meter.source == "RAPL and NVML"
    assert meter.joules_of(lambda: None) == 30.0
