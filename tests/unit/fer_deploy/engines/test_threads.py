import os

import pytest

from fer_deploy.engines import threads
from fer_deploy.engines.threads import available_cores, choose_threads
from fer_deploy.errors import ConfigError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a machine: siblings of each CPU, the CPUs we may use, the container's limit."""

    def make(siblings: list[str], affinity: set[int], limit: str | None = None) -> int:
        for cpu, text in enumerate(siblings):
            folder = tmp_path / f"cpu{cpu}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(text + "\n")
        if limit is not None:
            (tmp_path / "cpu.max").write_text(limit)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: affinity, raising=False)
        return available_cores(tmp_path, tmp_path / "cpu.max")

    return make


HYPER_THREADS = ["0,4", "1,5", "2,6", "3,7"] * 2


@pytest.mark.parametrize(
    ("affinity", "limit", "cores"),
    [
        (set(range(8)), None, 4),
        ({0, 4}, None, 1),  # two threads of one core
        ({0, 1, 5}, None, 2),
        (set(range(8)), "200000 100000", 2),
        (set(range(8)), "50000 100000", 1),
        (set(range(8)), "800000 100000", 4),
        (set(range(8)), "max 100000", 4),
        (set(range(8)), "nonsense", 4),
    ],
)
def test_physical_cores(machine, affinity, limit, cores):
    assert machine(HYPER_THREADS, affinity, limit) == cores


def test_unknown_topology_counts_cpus(machine):
    assert machine([], {0, 1, 2}) == 3


def test_without_affinity(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_cores(tmp_path, tmp_path / "cpu.max") == 6


def test_this_machine():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("asked", "got"), [(None, 4), (1, 1), (4, 4)])
def test_choice(monkeypatch, asked, got):
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    assert choose_threads(asked) == got


@pytest.mark.parametrize("asked", [0, -1, 5])
def test_never_more_than_cores(monkeypatch, asked):
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    with pytest.raises(ConfigError, match=rf"{asked} threads .* may use 4 physical cores\. Fix: threads from 1 to 4"):
        choose_threads(asked)
