from collections.abc import Iterator

import pytest
import torch
from unit.fer_train.synthetic_faces import NARROW_CHANNELS


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny batches are faster on one thread, and leave the other cores to whatever else runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def narrow_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Net with a few channels: the same layers, a thousandth of the work."""
    monkeypatch.setattr("fer_train.models.net.STAGE_CHANNELS", NARROW_CHANNELS)
