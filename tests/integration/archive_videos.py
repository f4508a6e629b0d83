"""A small archive of drawn squares, with the fakes of `analyze_videos` in its worker processes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
from integration.analyze_jobs import squares
from integration.analyze_videos import make_analysis, make_models, write_squares

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.jobs.messages import Recipe
from fer_deploy.archive.manifest import About, Manifest, VideoRow
from fer_deploy.archive.planning.inputs import found_videos
from fer_deploy.archive.planning.rows import planned_rows
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.run import ArchiveRun
from fer_deploy.archive.shard import Shard
from fer_deploy.archive.store import Store

OURS = ["video_id", "video", "video_complete", "collection", "date"]
NUM_FRAMES = {"one": 100, "two": 61, "three": 30}


def make_videos(folder: Path) -> Path:
    """Write three videos and a file that is none."""
    folder.mkdir(exist_ok=True)
    for number, (name, num) in enumerate(NUM_FRAMES.items()):
        write_squares(folder / f"{name}.mp4", num, squares=1 + number % 2)
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


def make_plan(
    inputs: list[str], out: str, engine_file: Path, on_row: Callable[[VideoRow], None] = lambda row: None, **settings
) -> tuple[Store, Manifest]:
    """Plan segments of 24 frames."""
    store = Store(out)
    config = AnalyzeConfig.model_validate({"out": ".", "segment_frames": 24} | settings)
    about = About.of(config, make_models(engine_file), 0.1)
    rows = planned_rows(found_videos(inputs), about, store, jobs=2, on_row=on_row)
    manifest = Manifest.of(about, rows)
    manifest.save(store)
    return store, manifest


def recipe_of(engine_file: Path) -> Recipe:
    return partial(squares, engine_file)


def make_run(store: Store, manifest: Manifest, recipe: Recipe, **settings) -> ArchiveRun:
    settings = {"back_off_s": 0.01, "num_jobs": 1, "shard": Shard(), **settings}
    progress = settings.pop("progress", None) or RunProgress()
    return ArchiveRun(store, manifest, recipe, progress, **settings)


def rows_of_table(folder: Path, name: str, video: str) -> list[dict]:
    """Return the rows of a video in a table of an archive, without the columns that analyze does not write."""
    table = ds.dataset(folder / "tables" / name, partitioning="hive").to_table()
    chosen = [row for row in table.to_pylist() if Path(row["video"]).stem == video]
    return [{key: value for key, value in row.items() if key not in OURS} for row in chosen]


def rows_of_analyze(video: Path, out: Path, **settings) -> tuple[list[dict], list[dict]]:
    """Return the faces and frames of a sequential analysis."""
    make_analysis(video, out, video=False, **settings).run()
    folder = out / video.stem
    return pq.read_table(folder / "faces.parquet").to_pylist(), pq.read_table(
        folder / "faces.frames.parquet"
    ).to_pylist()
