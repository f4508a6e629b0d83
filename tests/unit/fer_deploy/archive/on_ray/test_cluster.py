"""connected: what Ray does to this program while it starts. A module in place of Ray; no cluster."""

import os
import signal
import sys
from types import ModuleType

import pytest

from fer_deploy.archive.on_ray.cluster import connected


class RayOfTests(ModuleType):
    """Sets a handler as Ray does, and gets signals while it starts and ends."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.environment: dict[str, str] = {}

    def init(self, **_: object) -> None:
        self.environment = dict(os.environ)
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        os.kill(os.getpid(), signal.SIGTERM)

    def shutdown(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def came():
    """The signals that the handlers of this program got."""
    numbers: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: numbers.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_while_ray_starts_and_ends_go_to_this_program(came, monkeypatch, tmp_path):
    ray = RayOfTests()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with connected("local"):
        assert came == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
    assert came == [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]
    assert signal.signal.__module__ == "signal"  # Python's own
    assert ray.environment["RAY_DISABLE_FAILURE_SIGNAL_HANDLER"] == "1"
