from pathlib import Path

import pytest
from unit.fer_deploy.pack.pack_models import write_export

from fer_deploy.pack.packing import PackConfig, pack


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """An export; only read it."""
    folder = tmp_path_factory.mktemp("exported")
    return write_export(folder / "tiny", folder)


@pytest.fixture(scope="session")
def packed(tmp_path_factory, exported) -> Path:
    """Its pack; only read it."""
    path = tmp_path_factory.mktemp("packed") / "tiny.ferpack"
    pack(PackConfig(folder=exported, out=path))
    return path
