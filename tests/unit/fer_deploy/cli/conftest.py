import pytest

from fer_deploy.cli import live as live_module
from fer_deploy.engines.fake import FakeEngine


@pytest.fixture
def fake_engine(monkeypatch):
    engine = FakeEngine()
    monkeypatch.setattr(live_module, "open_engine", lambda path, **options: engine)
    return engine
