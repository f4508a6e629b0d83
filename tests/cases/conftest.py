import pytest


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr("fer_train.models.net.STAGE_CHANNELS", (4, 8, 8, 8))
    monkeypatch.setattr("fer_train.evaluation.plots.plot_history", lambda *_: None)
    monkeypatch.setattr("fer_train.training.session._plot_final", lambda *_: None)
