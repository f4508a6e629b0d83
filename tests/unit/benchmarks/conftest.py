import hashlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def _digests() -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (BENCHMARKS / "results").rglob("*.*")}


@pytest.fixture(autouse=True)
def tracked_results():
    """No benchmark that a test runs may change benchmarks/results."""
    before = _digests()
    yield
    assert _digests() == before


@pytest.fixture
def unpublished(tmp_path, monkeypatch):
    """Where results go without --out."""
    for module in ("harness.results", "harness.clips"):
        monkeypatch.setattr(f"{module}.UNPUBLISHED", tmp_path / "unpublished")
    return tmp_path / "unpublished"
