import numpy as np
import pytest

from fer_deploy.engines import shared
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.engines.shared import SharedEngine
from fer_deploy.errors import EngineError


def test_it_is_the_engine_inside():
    inside = FakeEngine()
    engine = SharedEngine(inside)
    images = np.full((3, 1, 48, 48), 200, dtype=np.uint8)
    np.testing.assert_array_equal(engine.infer(images), FakeEngine().infer(images))
    assert (engine.spec, engine.description, engine.settings) == (inside.spec, "fake", {})
    assert engine.is_concurrent
    with pytest.raises(EngineError, match="images are float64"):
        engine.infer(images.astype(float))
    engine.close()
    assert inside.closed


def test_open(monkeypatch, tmp_path):
    inside = FakeEngine()
    monkeypatch.setattr(shared, "open_engine", lambda path, *, device: inside)
    with SharedEngine.open(tmp_path / "a.plan", device="cuda"):
        assert not inside.closed
    assert inside.closed
