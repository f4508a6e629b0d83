import pytest

from fer_deploy.engines import config as engine_config
from fer_deploy.engines.fake import FakeEngine


@pytest.fixture
def fake_engine(monkeypatch):
    engine = FakeEngine()
    monkeypatch.setattr(engine_config, "open_engine", lambda path, **options: engine)
    return engine
