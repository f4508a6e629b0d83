"""Runs of an archive that fail, die, or have company."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cases.media_files import scenes, write_film
from integration.archive_models import trapped
from integration.archive_videos import (
    NUM_FRAMES,
    make_plan,
    make_run,
    make_videos,
    recipe_of,
    rows_of_analyze,
    rows_of_table,
)
from unit.fer_deploy.live.seeking.films import B_FRAMES, damaged

from fer_deploy.archive.dead_letters import DeadLetter, dead_letters, given_up, remove_dead_letters
from fer_deploy.archive.joining.join import join
from fer_deploy.archive.joining.verify import verify
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.planned_models import check_models
from fer_deploy.archive.progress import RunProgress
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.status import status
from fer_deploy.archive.store import Store
from fer_deploy.archive.todo import Todo
from fer_deploy.archive.work import all_work, finished, remove_damaged
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, StreamError

SCRIPT = Path(__file__).parent / "archive_process.py"


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("archive") / "people")


@pytest.fixture
def engine_file(tmp_path):
    return tmp_path / "engine.onnx"


@pytest.fixture
def plan(videos, tmp_path, engine_file):
    """The video of 61 frames in three segments."""
    return make_plan([str(videos / "two.mp4")], str(tmp_path / "out"), engine_file)


class Noted(RunProgress):
    """Remembers the notes; stops a run after so many segments."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.notes, self.run = [], None
        self._left = stop_after

    def note(self, text):
        self.notes.append(text)

    def done(self, num_frames):
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self.run.stop()


def test_a_worker_that_dies_costs_one_try(plan, tmp_path, engine_file):
    store, manifest = plan
    trap = tmp_path / "trap"
    trap.touch()
    ended = make_run(store, manifest, partial(trapped, "die once", trap, engine_file)).run()
    assert ended == (3, 0, 0)
    assert not trap.exists()


@pytest.mark.parametrize(("what", "kind"), [("die", "memory"), ("fail", "engine")])
def test_a_dead_letter_says_why_and_can_be_tried_again(what, kind, plan, tmp_path, engine_file):
    store, manifest = plan
    trap, progress = tmp_path / "trap", Noted()
    trap.touch()
    recipe = partial(trapped, what, trap, engine_file)
    one = all_work(manifest, plans(manifest, store))[1:2]
    assert make_run(store, manifest, recipe, progress=progress).run(only=one).num_dead == 1
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (2, 0, 0)
    ((name, letter),) = dead_letters(store).items()
    assert name == f"dead/{one[0].row.id}/000001.json"
    assert (letter.kind, letter.segment, letter.first, len(letter.attempts)) == (kind, 1, 24, 3)
    assert letter.address.endswith("two.mp4")
    assert "killed by signal 9" in letter.attempts[0] if what == "die" else "the trap is there" in letter.attempts[0]
    assert [kind in note for note in progress.notes] == [True]
    now = status(store, manifest)
    assert (now.num_done, now.num_missing, now.num_dead, now.dead_by_kind) == (2, 0, 1, {kind: 1})

    assert remove_dead_letters(store, one, "decode") == 0
    assert remove_dead_letters(store, one, kind) == 1
    trap.unlink()
    assert make_run(store, manifest, recipe).run() == (1, 0, 0)


def test_a_gap_is_named_and_may_be_allowed(plan, tmp_path, engine_file):
    store, manifest = plan
    works = all_work(manifest, plans(manifest, store))
    make_run(store, manifest, recipe_of(engine_file)).run(only=[works[0], works[2]])
    with pytest.raises(StreamError, match="no video"):
        join(store, manifest)
    (video,) = join(store, manifest, allow_incomplete=True).videos
    assert (video.num_frames, video.gap) == (24, "segment 1 is missing")
    assert len(rows_of_table(tmp_path / "out", "frames", "two")) == 24
    assert verify(store, manifest).num_frames == 24


def test_a_damaged_segment_is_computed_again(plan, tmp_path, engine_file):
    store, manifest = plan
    make_run(store, manifest, recipe_of(engine_file)).run()
    works = all_work(manifest, plans(manifest, store))
    path = store.local_path(works[1].name)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(400) + whole[404:])  # its description stays
    assert len(finished(store, works)) == 3
    assert (status(store, manifest).num_damaged, status(store, manifest).num_missing) == (1, 1)
    assert remove_damaged(store, works) == 1
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (1, 0, 0)
    assert join(store, manifest).videos[0].num_frames == 61


@pytest.mark.parametrize(("err", "kind"), [(ConfigError, "setting"), (ArtifactError, "engine")])
def test_no_fault_of_a_video_ends_a_run(err, kind, plan):
    store, manifest = plan
    todo = Todo(store, manifest, RunProgress(), back_off_s=0)
    todo.begin()
    work = todo.next()
    for _ in range(3):
        todo.fail(work, err("the region has no pixel in a frame of 64x48. Fix: another"))
    assert [letter.kind for letter in dead_letters(store).values()] == [kind]
    assert todo.ended() == (0, 1, 2)


@pytest.mark.parametrize(("err", "is_machine"), [(EngineError, True), (StreamError, False)])
def test_a_machine_that_works_no_more_ends_a_run_and_corrupt_videos_do_not(err, is_machine, plan):
    store, manifest = plan
    (row,) = manifest.rows.values()
    rows = [row.model_copy(update={"id": f"{number:016}", "segments": row.segments[:1]}) for number in range(21)]
    todo = Todo(store, Manifest.of(manifest.about, rows), RunProgress(), back_off_s=0)
    todo.begin()
    works = list(iter(todo.next, None))
    todo.done(24)

    def give_up():
        for work in works[1:]:
            for _ in range(3):
                todo.fail(work, err("no GPU"))

    if is_machine:
        with pytest.raises(
            EngineError, match=r"segments of the last 20 videos have all failed, .*Fix: .*retry \S+out,"
        ):
            give_up()
    else:
        give_up()
    assert todo.ended().num_dead == 20


def test_a_segment_that_was_given_up_counts_although_an_old_file_of_it_is_there(plan, engine_file):
    store, manifest = plan
    works = all_work(manifest, plans(manifest, store))
    for work in works[:2]:
        store.write(work.name, b"a file of another plan")
    DeadLetter.of(works[0].row, works[0].segment, [EngineError("why")]).write(works[0].row, store)
    assert given_up(store, works) == {works[0].place}
    now = status(store, manifest)
    assert (now.num_done, now.num_damaged, now.num_missing, now.num_dead) == (0, 2, 2, 1)
    assert now.dead_by_kind == {"engine": 1}
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (2, 0, 0)
    assert given_up(store, works) == {works[0].place}


def test_a_stopped_run_keeps_what_is_done(plan, engine_file):
    store, manifest = plan
    progress = Noted(stop_after=1)
    progress.run = run = make_run(store, manifest, recipe_of(engine_file), progress=progress)
    first = run.run()
    assert first.num_done < 3
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (3 - first.num_done, 0, 0)


def process(out: str, engine: Path, shard: str, dies_at: str = "-") -> subprocess.Popen:
    paths = [str(SCRIPT.parents[1]), *sys.path]
    program = f"import sys; sys.path[:] = {paths!r}; from integration.archive_process import main; main(*sys.argv[1:])"
    return subprocess.Popen([sys.executable, "-c", program, out, str(engine), shard, dies_at])


def test_a_killed_run_goes_on_and_two_shards_share_the_rest(videos, tmp_path, engine_file):
    out = str(tmp_path / "out")
    store, manifest = make_plan([str(videos)], out, engine_file)
    assert process(out, engine_file, "1/2", dies_at="1").wait() == -9
    works = all_work(manifest, plans(manifest, store))
    before = {name: entry.written_s for name, entry in store.list("segments").items()}
    assert 0 < len(before) < len(works)
    both = [process(out, engine_file, shard) for shard in ("1/2", "2/2")]
    assert [one.wait() for one in both] == [0, 0]
    assert len(finished(store, works)) == len(works)
    after = store.list("segments")
    assert all(after[name].written_s == written_s for name, written_s in before.items())
    assert not list((tmp_path / "out").rglob("*.part"))
    join(store, manifest)
    faces, frames = rows_of_analyze(videos / "one.mp4", tmp_path / "analyzed")
    assert rows_of_table(tmp_path / "out", "faces", "one") == faces
    assert rows_of_table(tmp_path / "out", "frames", "one") == frames
    assert verify(store, manifest).num_frames == sum(NUM_FRAMES.values())


def test_a_wrong_prediction_is_found_and_mended(tmp_path, engine_file):
    folder = tmp_path / "films"
    folder.mkdir()
    film = damaged(write_film(folder / "film.mp4", scenes(90, (96, 64)), options=B_FRAMES), place=1 / 5, num=100)
    store, manifest = make_plan([str(film)], str(tmp_path / "out"), engine_file)
    num_marks = 0
    while True:
        make_run(store, manifest, recipe_of(engine_file)).run()
        joined = join(store, manifest, allow_incomplete=True)
        if not joined.videos[0].gap:
            break
        assert joined.videos[0].is_marked
        num_marks += 1
    assert 1 <= num_marks <= 3
    faces, frames = rows_of_analyze(film, tmp_path / "analyzed")
    assert rows_of_table(tmp_path / "out", "faces", "film") == faces
    assert rows_of_table(tmp_path / "out", "frames", "film") == frames


def test_a_video_that_has_changed_is_a_dead_letter(plan, videos, tmp_path, engine_file):
    film = tmp_path / "film.mp4"
    film.write_bytes((videos / "three.mp4").read_bytes())
    store, manifest = make_plan([str(film)], str(tmp_path / "changed"), engine_file)
    film.write_bytes((videos / "two.mp4").read_bytes())
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (0, 1, 0)
    (letter,) = dead_letters(store).values()
    assert letter.kind == "read"
    assert "has changed since archive plan" in letter.attempts[0]


def test_a_manifest_of_another_model_is_refused(plan):
    _, manifest = plan
    other = manifest.about.fingerprint.model_copy(update={"engine": "0" * 64})
    with pytest.raises(ConfigError, match="another model"):
        check_models(manifest.about, other)


def test_segments_of_another_manifest_are_not_used(plan, videos, tmp_path, engine_file):
    store, manifest = plan
    make_run(store, manifest, recipe_of(engine_file)).run()
    settings = manifest.about.fingerprint.settings | {"pipeline.people.smoothing_s": 1.0}
    fingerprint = manifest.about.fingerprint.model_copy(update={"settings": settings})
    other = Manifest.of(manifest.about.model_copy(update={"fingerprint": fingerprint}), manifest.rows.values())
    assert finished(store, all_work(other, plans(other, store))) == set()


def test_no_model_at_all_stops_the_run(plan, tmp_path):
    store, manifest = plan
    with pytest.raises(ConfigError, match="no such model"):
        make_run(store, manifest, partial(no_models, "no such model")).run()
    assert dead_letters(store) == {}


def no_models(text: str):
    raise ConfigError(text)


def test_an_archive_in_memory(videos, tmp_path, engine_file):
    address = f"memory://archive-{tmp_path.name}"
    inputs = Store(f"memory://videos-{tmp_path.name}")
    for name in ("one", "three"):
        inputs.send(videos / f"{name}.mp4", f"{name}.mp4")
    inputs.write("notes.txt", b"no video")
    store, manifest = make_plan([f"memory://videos-{tmp_path.name}"], address, engine_file)
    assert [row.address for row in manifest.rows.values()] == [
        f"memory:///videos-{tmp_path.name}/{name}.mp4" for name in ("one", "three")
    ]
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (6, 0, 0)
    assert len(join(store, manifest).videos) == 2
    assert verify(store, manifest).num_frames == NUM_FRAMES["one"] + NUM_FRAMES["three"]
    assert json.loads(store.read("tables/joined.json"))["num_videos"] == 2


def test_a_missing_manifest_says_what_to_do(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"has no manifest.parquet: nothing was planned there. Fix: another address, or fer-deploy archive plan",
    ):
        Manifest.load(Store(str(tmp_path)))
