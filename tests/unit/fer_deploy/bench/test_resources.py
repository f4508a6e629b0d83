import pytest

from fer_deploy.bench import resources
from fer_deploy.bench.resources import EnergyMeter, rss_bytes


def test_the_memory_of_this_process():
    assert 10**7 < rss_bytes() < 10**11


def test_memory_is_unknown_without_proc(tmp_path):
    assert rss_bytes(tmp_path / "none") is None


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    """Two packages, one with a part of its own that must not count twice."""
    monkeypatch.setattr(resources, "_nvml_counters", lambda: ((), "no NVML"))
    for name, microjoules in (("intel-rapl:0", 10**6), ("intel-rapl:1", 2 * 10**6), ("intel-rapl:0:0", 5 * 10**6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{microjoules}\n")
    return tmp_path


def test_energy_of_all_packages(powercap):
    meter = EnergyMeter.of_this_machine(powercap)

    def work():
        (powercap / "intel-rapl:0" / "energy_uj").write_text("4000000\n")
        (powercap / "intel-rapl:1" / "energy_uj").write_text("2500000\n")

    assert (meter.source, meter.why_not) == ("RAPL", "")
    assert meter.joules_of(work) == 3.5


def test_a_counter_that_starts_again_gives_no_number(powercap):
    meter = EnergyMeter.of_this_machine(powercap)
    assert meter.joules_of(lambda: (powercap / "intel-rapl:0" / "energy_uj").write_text("5\n")) is None


def test_without_a_counter_the_reason_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_nvml_counters", lambda: ((), "no NVML"))
    meter = EnergyMeter.of_this_machine(tmp_path)
    assert (meter.source, meter.joules_of(lambda: None)) == ("", None)
    assert meter.why_not == f"no RAPL counter in {tmp_path}; no NVML"


def test_a_counter_that_cannot_be_read_is_a_reason(powercap):
    (powercap / "intel-rapl:1" / "energy_uj").write_text("secret")
    assert "RAPL cannot be read" in EnergyMeter.of_this_machine(powercap).why_not


def test_the_gpus_energy_counts_too(powercap, monkeypatch):
    readings = iter([100.0, 130.0])
    monkeypatch.setattr(resources, "_nvml_counters", lambda: ((lambda: next(readings),), ""))
    meter = EnergyMeter.of_this_machine(powercap)
    assert meter.source == "RAPL and NVML"
    assert meter.joules_of(lambda: None) == 30.0
