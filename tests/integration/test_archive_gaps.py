"""Tables of an archive with a segment that is missing or damaged: what join, verify and status say, and exit codes."""

import errno
import json
import shutil
from functools import partial

import pytest
from click.testing import CliRunner
from integration.archive_models import without_space
from integration.archive_videos import NUM_FRAMES, make_plan, make_run, make_videos, recipe_of

from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.scratch import ScratchFull
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


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "place",
    [
        "fsspec.implementations.local.LocalFileSystem.get_file",
        "fer_deploy.live.sinks.tables.parquet_file.pq.write_table",
        "fer_deploy.live.sinks.tables.parquet_file.give_name",
        "fer_deploy.archive.joining.tables.pq.ParquetWriter",
    ],
)
def test_join_on_a_full_disk_names_a_folder_that_is_there(place, out, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(place, no_space)
    done = run("join", out, "--scratch", tmp_path / "scratch")
    assert done.exit_code == 8
    assert "No space left on device" in done.stderr
    assert "another --scratch, then give the same command again" in done.stderr
    assert "fer-archive-" not in done.stderr
    assert caplog.messages == []
    assert list((tmp_path / "scratch").iterdir()) == []
    monkeypatch.undo()
    assert run("join", out, "--scratch", tmp_path / "scratch").exit_code == 0


def test_a_run_on_a_full_disk_loses_no_try(tmp_path, monkeypatch):
    videos = make_videos(tmp_path / "people")
    store, manifest = make_plan([str(videos)], str(tmp_path / "out"), tmp_path / "engine.onnx")
    (tmp_path / "scratch").mkdir()
    recipe = partial(without_space, tmp_path / "engine.onnx")
    with pytest.raises(ScratchFull, match=r"No space left on device|the disk is full") as caught:
        make_run(store, manifest, recipe, scratch=tmp_path / "scratch").run()
    assert f"cannot write to the folder for copies in {tmp_path / 'scratch'}: " in str(caught.value)
    assert list(store.list("dead")) == []
    assert make_run(store, manifest, recipe_of(tmp_path / "engine.onnx")).run() == (9, 0, 0)


COMMANDS = [("status",), ("status", "--json"), ("retry",), ("retry", "--damaged"), ("join",), ("verify",), ("run",)]


def require_one_error(done, code: int, text: str) -> None:
    assert isinstance(done.exception, SystemExit), done.exception  # another one would be a traceback
    assert done.exit_code == code, done.output
    assert text in done.stderr
    assert ". Fix: " in done.stderr
    assert done.stderr.count("error: ") == len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_a_manifest_with_a_damaged_byte_is_an_error_or_harmless(command, out):
    manifest = out / "manifest.parquet"
    content = manifest.read_bytes()
    assert run("join", out).exit_code == 0
    name, *flags = command
    if name != "run":
        whole = run(name, out, *flags)
        assert whole.exit_code == 0
    num_found = 0
    for place in [*range(0, len(content), len(content) // 11), len(content) - 1]:
        manifest.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        done = run(name, out, *flags)
        if done.exit_code == 4 and "manifest.parquet" in done.stderr:
            require_one_error(done, 4, "is damaged or of another version")
            num_found += 1
        elif name != "run":
            assert (done.exit_code, done.stdout) == (0, whole.stdout), done.output
    assert num_found > 2  # the others change nothing that is read, as was checked


def older(out, **changes) -> None:
    """Write the manifest as another version might have done."""
    store = Store(str(out))
    manifest = Manifest.load(store)
    Manifest.of(manifest.about.model_copy(update=changes), manifest.rows.values()).save(store)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_manifest_of_another_schema(command, out):
    assert run("join", out).exit_code == 0
    older(out, schema_version=0)
    name, *flags = command
    require_one_error(run(name, out, *flags), 4, "its schema is 0, expected 1")


@pytest.mark.parametrize("command", [("join",), ("run",)])
def test_a_manifest_with_settings_that_are_not_known(command, out):
    older(out, settings={"pipeline": {"no_such": 1}})
    done = run(*command, out)
    require_one_error(done, 4, "manifest.parquet has settings of another version: pipeline.no_such. Fix: fer-deploy ")


def test_a_manifest_of_another_version_is_not_mixed_with_this_one(out):
    assert run("join", out).exit_code == 0
    fingerprint = Manifest.load(Store(str(out))).about.fingerprint
    older(out, fingerprint=fingerprint.model_copy(update={"version": "0.0.7"}))
    now = run("status", out)
    assert (now.exit_code, "9 segments damaged, or of another plan" in now.stdout) == (0, True), now.output
    require_one_error(run("verify", out), 2, f"{out} has tables of another manifest")
    require_one_error(run("join", out), 2, "the archive was planned with fer-deploy 0.0.7, and this is fer-deploy ")
    assert (out / "tables/joined.json").exists()  # the tables of the version that may join are left alone
    assert run("retry", out).exit_code == 0
    assert run("retry", out, "--damaged").stdout == "all finished segments were read; 0 segments damaged\n"
    assert len(list(out.glob("segments/*/*.parquet"))) == 9
