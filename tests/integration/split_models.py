"""Models of `analyze_videos` for worker processes, which import this module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.analyze_videos import SquareDetector

from fer_deploy.analyze.models import Models
from fer_deploy.engines.fake import FakeEngine


@contextmanager
def squares(engine_file: Path) -> Iterator[Models]:
    """Open fakes, as `make_models` makes them."""
    yield Models(FakeEngine(), engine_file, SquareDetector, None, "squares")
