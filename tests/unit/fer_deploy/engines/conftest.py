"""A machine with a simulated GPU."""

import pytest
from unit.fer_deploy.engines.simulated_machine import SimulatedMachine


@pytest.fixture
def machine(monkeypatch, tmp_path):
    return SimulatedMachine(monkeypatch, tmp_path)
