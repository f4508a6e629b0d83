"""The whole path of fer-deploy archive on small videos: its rows are those of analyze."""

import hashlib

import pyarrow.parquet as pq
import pytest
from integration.archive_videos import (
    NUM_FRAMES,
    make_plan,
    make_run,
    make_videos,
    recipe_of,
    rows_of_analyze,
    rows_of_table,
)

from fer_deploy.archive.estimate import estimate, pilot_of, samples_of
from fer_deploy.archive.joining import tables
from fer_deploy.archive.joining.join import join
from fer_deploy.archive.joining.verify import verify
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.status import status
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import all_work
from fer_deploy.artifacts import file_sha256
from fer_deploy.errors import ConfigError, StreamError, VerificationError


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("archive") / "people")


@pytest.fixture(scope="module")
def done(videos):
    """A finished and joined archive."""
    out = videos.parent / "out"
    store, manifest = make_plan([str(videos)], str(out), videos.parent / "engine.onnx")
    ended = make_run(store, manifest, recipe_of(videos.parent / "engine.onnx"), num_jobs=2).run()
    assert (ended.num_dead, ended.num_left) == (0, 0)
    join(store, manifest)
    return out


def test_a_plan_lists_every_file_and_cuts_what_it_can(done):
    rows = {row.address.rpartition("/")[2]: row for row in Manifest.load(Store(str(done))).rows.values()}
    assert "cannot open the file as a video" in rows["broken.mp4"].reason
    assert rows["broken.mp4"].segments == ()
    one = rows["one.mp4"]
    assert (one.num_frames, one.codec, one.fps, one.width, one.height) == (100, "h264", 24.0, 128, 96)
    for name, num in NUM_FRAMES.items():
        row = rows[f"{name}.mp4"]
        assert sum(segment.num_frames for segment in row.segments) == num
        if not row.why_not:
            assert [segment.first for segment in row.segments] == list(range(0, num, 24))


@pytest.mark.parametrize("name", NUM_FRAMES)
def test_rows_are_those_of_analyze(name, done, videos, tmp_path):
    faces, frames = rows_of_analyze(videos / f"{name}.mp4", tmp_path)
    assert len(frames) == NUM_FRAMES[name]
    assert rows_of_table(done, "faces", name) == faces
    assert rows_of_table(done, "frames", name) == frames


def test_tables_are_in_a_folder_for_each_collection_and_day(done):
    videos = pq.read_table(done / "tables" / "videos" / "part-000001.parquet").to_pylist()
    (day,) = {row["date"] for row in videos}
    assert [str(path.relative_to(done / "tables")) for path in (done / "tables").glob("faces/*/*")] == [
        f"faces/collection=people/date={day}"
    ]
    assert [row["date_from"] for row in videos] == ["modified"] * 3
    assert [row["complete"] for row in videos] == [True] * 3
    assert sum(row["num_frames"] for row in videos) == sum(NUM_FRAMES.values())


def test_several_processes_join_to_the_same_tables(done):
    store = Store(str(done))
    parts = sorted((done / "tables").rglob("*.parquet"))
    before = [pq.read_table(path, partitioning=None) for path in parts]
    join(store, Manifest.load(store), jobs=2)
    assert sorted((done / "tables").rglob("*.parquet")) == parts
    assert [pq.read_table(path, partitioning=None) for path in parts] == before


def test_large_tables_are_divided_and_older_parts_removed(done, monkeypatch):
    store = Store(str(done))
    manifest = Manifest.load(store)
    (whole,) = (done / "tables" / "frames").rglob("*.parquet")
    rows = pq.read_table(whole, partitioning=None).to_pylist()
    monkeypatch.setattr(tables, "_GROUP_ROWS", 50)
    join(store, manifest, part_bytes=1)
    parts = sorted((done / "tables" / "frames").rglob("*.parquet"))
    assert [path.name for path in parts] == ["part-000001.parquet", "part-000002.parquet"]
    assert [row for path in parts for row in pq.read_table(path, partitioning=None).to_pylist()] == rows
    monkeypatch.undo()
    join(store, manifest)
    assert list((done / "tables" / "frames").rglob("*.parquet")) == [whole]


def test_verify_counts_again(done, tmp_path):
    store = Store(str(done))
    found = verify(store, Manifest.load(store))
    assert (found.num_videos, found.num_frames) == (3, 191)
    assert any("broken.mp4: not in the tables: cannot open" in note for note in found.notes)


def test_verify_finds_a_row_that_join_lost(videos, done, tmp_path):
    (part,) = (done / "tables" / "frames").rglob("*.parquet")
    joined = done / "tables" / "joined.json"
    whole, about = part.read_bytes(), joined.read_text()
    table = pq.read_table(part, partitioning=None)
    pq.write_table(table.slice(0, table.num_rows - 1), part)
    joined.write_text(about.replace(hashlib.sha256(whole).hexdigest(), file_sha256(part)))
    store = Store(str(done))
    try:
        with pytest.raises(VerificationError, match="60 frames in the tables, 61 in its segments"):
            verify(store, Manifest.load(store))
    finally:
        part.write_bytes(whole)
        joined.write_text(about)


@pytest.mark.parametrize("table", ["faces", "frames", "videos"])
def test_verify_finds_a_changed_table(done, table):
    part = next((done / "tables" / table).rglob("*.parquet"))
    whole, rows = part.read_bytes(), pq.read_table(part, partitioning=None)
    pq.write_table(rows.take(list(range(rows.num_rows))[::-1]), part)  # as many, in another order
    store = Store(str(done))
    try:
        with pytest.raises(
            VerificationError, match=rf"{part.name} in .* is not as join wrote it\. Fix: fer-deploy archive join"
        ):
            verify(store, Manifest.load(store))
    finally:
        part.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("part-000001.parquet", None, "part-000001.parquet in .* is missing"),
        (
            "part-000001.parquet",
            lambda whole: whole[: len(whole) // 2],
            "part-000001.parquet in .* is not as join wrote it",
        ),
        ("part-000001.parquet", lambda whole: b"", "part-000001.parquet in .* is not as join wrote it"),
        ("joined.json", lambda whole: whole[: len(whole) // 2], "has no complete tables"),
        ("joined.json", lambda whole: b"[]", "has no complete tables"),
    ],
)
def test_verify_of_damaged_tables_says_how_to_write_them_again(name, damage, says, done):
    path = next(path for path in sorted((done / "tables").rglob(name)) if path.parent.name != "videos")
    whole, store = path.read_bytes(), Store(str(done))
    path.unlink()
    if damage is not None:
        path.write_bytes(damage(whole))
    try:
        with pytest.raises((ConfigError, VerificationError), match=rf"{says}.*\. Fix: fer-deploy archive join {done}$"):
            verify(store, Manifest.load(store))
    finally:
        path.write_bytes(whole)


def test_status_counts_and_prices(done):
    store = Store(str(done))
    now = status(store, Manifest.load(store))
    assert (now.num_videos, now.num_unusable, now.num_missing, now.num_dead) == (3, 1, 0, 0)
    assert now.frames_done == now.frames_total == 191
    assert now.core_hours > 0
    assert now.as_json(2.0)["money"] == now.core_hours * 2
    assert now.as_json(0.0)["money"] is None


def test_an_estimate_comes_with_its_error(done):
    store = Store(str(done))
    manifest = Manifest.load(store)
    works = all_work(manifest, plans(manifest, store))
    chosen = pilot_of(works, 4)
    assert len({work.place for work in chosen}) == 4
    found = estimate(samples_of(store, works), 191)
    assert found.num_samples == len(works)
    assert found.core_hours == pytest.approx(sum(one.cpu_s for one in samples_of(store, works)) / 3600)
    assert 0 < found.core_hours_error < 10 * found.core_hours


def test_what_is_done_is_not_done_again(done, videos):
    store = Store(str(done))
    manifest = Manifest.load(store)
    ended = make_run(store, manifest, recipe_of(videos / "no model")).run()
    assert ended == (0, 0, 0)


def test_an_archive_without_segments_is_not_joined(videos, tmp_path):
    store, manifest = make_plan([str(videos / "three.mp4")], str(tmp_path / "out"), tmp_path / "engine.onnx")
    with pytest.raises(StreamError, match=r"no video of .* is complete"):
        join(store, manifest)
