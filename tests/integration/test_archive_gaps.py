"""Tables of an archive with a segment that is missing or damaged: what join, verify and status say, and exit codes."""

import json
import shutil

import pytest
from click.testing import CliRunner
from integration.archive_videos import NUM_FRAMES, make_plan, make_run, make_videos, recipe_of

from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.status import status
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import all_work, finished
from fer_deploy.cli import main


def run(*args: object):
    return CliRunner().invoke(main, ["archive", *map(str, args)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished archive of three videos."""
    videos = make_videos(tmp_path_factory.mktemp("gaps") / "people")
    store, manifest = make_plan([str(videos)], str(videos.parent / "out"), videos.parent / "engine.onnx")
    assert make_run(store, manifest, recipe_of(videos.parent / "engine.onnx"), num_jobs=2).run() == (9, 0, 0)
    return videos.parent / "out"


@pytest.fixture
def out(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "out")


def segment_of(out, name: str, number: int):
    """Return the path of a segment of a video."""
    (row,) = (row for row in Manifest.load(Store(str(out))).rows.values() if row.address.endswith(f"{name}.mp4"))
    return out / f"segments/{row.id}/{number:06}.parquet"


def fix_of(out) -> str:
    return f"Fix: fer-deploy archive run {out}, then fer-deploy archive join {out}"


@pytest.mark.parametrize("what", ["damaged", "missing"])
def test_a_video_that_is_left_out_ends_join_and_verify_with_a_code(what, out):
    path = segment_of(out, "two", 1)
    if what == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:4] + bytes(400) + path.read_bytes()[404:])  # its description stays
    joined = run("join", out)
    assert joined.exit_code == 8, joined.output
    assert f"two.mp4: segment 1 {'is missing' if what == 'missing' else 'was damaged and is removed'}" in joined.stderr
    assert f"2 videos, {NUM_FRAMES['one'] + NUM_FRAMES['three']} frames" in joined.stdout
    assert "1 video left out" in joined.stderr
    assert fix_of(out) in joined.stderr
    verified = run("verify", out)
    assert (verified.exit_code, "1 video left out. " + fix_of(out) in verified.stderr) == (8, True), verified.output


def test_incomplete_videos_may_be_allowed(out):
    segment_of(out, "two", 0).unlink()
    joined = run("join", out, "--allow-incomplete")
    assert (joined.exit_code, "; 1 left out" in joined.stdout) == (0, True), joined.output
    verified = run("verify", out)
    assert (verified.exit_code, "1 video left out\n" in verified.stderr) == (0, True), verified.output


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_changed_byte_is_found_by_status_and_computed_again_after_a_retry(out):
    path = segment_of(out, "two", 1)
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, len(whole) // 3))
    said = run("status", out)
    assert said.exit_code == 0
    assert f"1 segment damaged, or of another plan. Fix: fer-deploy archive retry {out} --damaged, " in said.stdout
    assert (json.loads(run("status", out, "--json").stdout))["num_damaged"] == 1
    store = Store(str(out))
    manifest = Manifest.load(store)
    assert make_run(store, manifest, recipe_of(out)).run() == (0, 0, 0)  # it reads their ends
    said = run("retry", out, "--damaged").stdout
    assert said == f"all finished segments were read; 1 segment damaged and removed: fer-deploy archive run {out}\n"
    assert make_run(store, manifest, recipe_of(out)).run() == (1, 0, 0)
    assert status(store, manifest).num_damaged == 0


def test_of_very_many_segments_some_are_read(out, monkeypatch):
    monkeypatch.setattr("fer_deploy.archive.status._MOST_READ", 3)
    for path in (out / "segments").rglob("*.parquet"):
        path.write_bytes(flipped(path.read_bytes(), 100))
    assert "3 segments of 3 that were read are damaged, or of another plan" in run("status", out).stdout


@pytest.mark.parametrize("num_bytes", [500, 0, None, -1])
def test_a_segment_that_is_damaged_after_join_is_to_be_computed_again(num_bytes, out):
    assert run("join", out).exit_code == 0
    path = segment_of(out, "two", 1)
    if num_bytes is None:
        path.unlink()
    else:
        path.write_bytes(flipped(path.read_bytes(), 99) if num_bytes < 0 else path.read_bytes()[:num_bytes])
    verified = run("verify", out)
    assert verified.exit_code == 6
    assert "61 frames in the tables, 24 in its segments; segment 1 is damaged or missing" in verified.stderr
    assert fix_of(out) in verified.stderr
    store = Store(str(out))
    assert make_run(store, Manifest.load(store), recipe_of(out)).run() == (1, 0, 0)
    assert (run("join", out).exit_code, run("verify", out).exit_code) == (0, 0)


@pytest.mark.parametrize("num_bytes", [0, 11])
def test_empty_files_are_not_done(num_bytes, out):
    path = segment_of(out, "two", 1)
    path.write_bytes(path.read_bytes()[:num_bytes])
    store = Store(str(out))
    manifest = Manifest.load(store)
    now = status(store, manifest)
    works = all_work(manifest, plans(manifest, store))
    assert (now.num_done, now.num_missing) == (len(finished(store, works)), 1) == (len(works) - 1, 1)
    assert "1 missing" in run("status", out).stdout
