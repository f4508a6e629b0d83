from collections.abc import Iterator

import pytest
from unit.fer_train.synthetic_faces import NARROW_CHANNELS


@pytest.fixture(autouse=True, scope="module")
def narrow() -> Iterator[None]:
    """Commands train a narrow Net: what they do around the network is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fer_train.models.net.STAGE_CHANNELS", NARROW_CHANNELS)
        yield
