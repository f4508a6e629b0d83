"""A machine with a simulated GPU."""

import pytest
from unit.fer_deploy.engines.simulated_machine import SimulatedMachine
from unit.fer_deploy.engines.simulated_network import NetworkEngine


@pytest.fixture
def machine(monkeypatch, tmp_path):
    return SimulatedMachine(monkeypatch, tmp_path)


def change_nothing(engine):
    """What a test puts in its place changes the engine before it is asked."""


@pytest.fixture
def network_machine(machine):
    machine.change = change_nothing

    def make(trt):
        machine.engine = NetworkEngine(trt)
        machine.change(machine.engine)
        return machine.engine

    machine.trt.make_engine = make
    return machine
