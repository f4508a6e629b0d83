"""Run an analysis with worker processes that have fakes for the models."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from integration.analyze_videos import SquareDetector, make_config, make_models

from fer_deploy.analyze.batch import VideoBatch
from fer_deploy.analyze.models import Models
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.report.summary import Outcome
from fer_deploy.engines.fake import FakeEngine


@contextmanager
def squares(engine_file: Path) -> Iterator[Models]:
    """Open fakes in a worker, as `make_models` makes them."""
    yield Models(FakeEngine(), engine_file, SquareDetector, None, "squares")


class Noted(AnalysisProgress):
    """Remembers the notes, and calls `on_advance` with each number of frames."""

    def __init__(self, on_advance=lambda num: None) -> None:
        self.notes: list[str] = []
        self._on_advance = on_advance

    def note(self, text):
        self.notes.append(text)

    def advance(self, num_frames, num_faces):
        self._on_advance(num_frames)


def make_batch(
    videos: Sequence[Path], out: Path, *, jobs: int, progress=None, recipe=squares, **settings
) -> VideoBatch:
    engine_file = videos[0].parent / "engine.onnx"
    models, config = make_models(engine_file), make_config(out, **settings)
    recipe = partial(recipe, engine_file)
    return VideoBatch(videos, config, models, progress or Noted(), num_jobs=jobs, recipe=recipe)


def analyze(videos: Sequence[Path], out: Path, *, jobs: int, restart: bool = False, **settings) -> list[Outcome]:
    return make_batch(videos, out, jobs=jobs, **settings).run(lambda outcome: None, restart=restart)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
